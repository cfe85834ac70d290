from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from aiohttp.test_utils import make_mocked_request
from click.testing import CliRunner

from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, ADMIN_KEY, Worker, serving
from trafficapp.settings import AuthSettings, Settings, load_settings
from web.auth import jwks
from web.auth.access import Authority, Caller, CallerRole, warn_of_public_reads
from web.auth.jwks import KeysAway
from web.auth.tokens import LEEWAY_SECONDS, InvalidToken, JwtVerifier, mint
from web.serving.problems import ProblemError


def authority(**auth: Any) -> Authority:
    return Authority(load_settings(auth=auth, admin={"api_key": ADMIN_KEY}))


async def verify(token: str, **auth: Any) -> Caller:
    return await JwtVerifier(AuthSettings(**{"jwt_secret": tokens.SECRET, **auth})).verify(token)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("viewer", CallerRole.VIEWER),
        (["viewer", "operator", "x"], CallerRole.OPERATOR),
        ("ADMIN", CallerRole.NOBODY),
        ("nobody", CallerRole.NOBODY),
        ([], CallerRole.NOBODY),
        (3, CallerRole.NOBODY),
        ({"admin": 1}, CallerRole.NOBODY),
    ],
)
async def test_roles(role: object, expected: CallerRole) -> None:
    assert (await verify(tokens.hs256(role))).role is expected


async def test_a_claim_within_a_claim() -> None:
    nested = tokens.hs256(None, realm_access={"roles": ["operator"]})
    assert (await verify(nested, role_claim="realm_access.roles")).role is CallerRole.OPERATOR


@pytest.mark.parametrize(
    ("others", "auth", "word"),
    [
        ({"exp": None}, {}, "exp"),
        ({"sub": None}, {}, "sub"),
        ({"sub": ""}, {}, "sub"),
        ({"sub": "a\nb"}, {}, "sub"),
        ({"exp": time.time() - 60}, {}, "expired"),
        ({"nbf": time.time() + 86_400}, {}, "valid"),
        ({"exp": "tomorrow"}, {}, "valid"),
        ({"exp": float("inf")}, {}, "valid"),
        ({"iss": None}, {"jwt_issuer": "https://us"}, "iss"),
        ({"iss": "https://them"}, {"jwt_issuer": "https://us"}, "somebody else"),
        ({"aud": "them"}, {"jwt_audience": "us"}, "somebody else"),
        ({"aud": None}, {"jwt_audience": "us"}, "aud"),
        ({"aud": "account", "azp": "them"}, {"jwt_audience": "us"}, "somebody else"),
        ({"aud": "account", "azp": ["us"]}, {"jwt_audience": "us"}, "somebody else"),
        ({"aud": {"us": 1}}, {"jwt_audience": "us"}, "somebody else"),
    ],
)
async def test_claims_that_are_refused(others: dict[str, Any], auth: dict[str, Any], word: str) -> None:
    payload = {name: value for name, value in tokens.claims(**others).items() if value is not None}
    with pytest.raises(InvalidToken, match=word):
        await verify(tokens.jwt.encode(payload, tokens.SECRET, "HS256"), **auth)


async def test_claims_that_are_demanded_and_there() -> None:
    good = tokens.hs256(iss="https://us", aud=["us", "them"])
    assert (await verify(good, jwt_issuer="https://us", jwt_audience="us")).name == "anna"


async def test_tokens_of_keycloak() -> None:
    """Their audience is ``account``, the client they were issued to is in ``azp``, the roles are the realm's."""
    keycloak = {"aud": "account", "azp": "traffic-dashboard", "realm_access": {"roles": ["offline_access", "operator"]}}
    payload = {name: value for name, value in tokens.claims(**keycloak).items() if name != "role"}
    token = tokens.jwt.encode(payload, tokens.SECRET, "HS256")
    assert (await verify(token, jwt_audience="traffic-dashboard")).role is CallerRole.OPERATOR
    # where another claim was named, it alone counts
    assert (await verify(token, jwt_audience="traffic-dashboard", role_claim="groups")).role is CallerRole.NOBODY
    # and a role that is given is not added to
    assert (await verify(tokens.hs256("viewer", **keycloak))).role is CallerRole.VIEWER


@pytest.mark.parametrize("token", ["", ".", "a.b.c", "e30.e30.", "\udc80", "x" * 7000])
async def test_what_is_no_token(token: str) -> None:
    with pytest.raises(InvalidToken):
        await verify(token)


async def test_published_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tokens.key_server() as server:
        verifier = JwtVerifier(AuthSettings(**tokens.published_at(server.url)))
        for token in (tokens.rs256(), tokens.es256(), tokens.rs256()):
            assert (await verifier.verify(token)).name == "anna"
        assert server.asked == 1
        # an unknown key id is looked for, but not again and again
        for _ in range(3):
            with pytest.raises(InvalidToken):
                await verifier.verify(tokens.rs256(kid="new"))
        assert server.asked == 1
        monkeypatch.setattr(jwks, "FETCH_EVERY_SECONDS", 0)
        for key in server.document["keys"]:
            key["kid"] = {"rsa": "new"}.get(key.get("kid"), "ec")
        verifier = JwtVerifier(AuthSettings(**tokens.published_at(server.url)))
        assert (await verifier.verify(tokens.rs256(kid="new"))).name == "anna"
        with pytest.raises(InvalidToken):
            await verifier.verify(tokens.rs256(kid="rsa"))
        # the algorithm is the key's: a token of the secret is none, where there is no secret
        for forged in (tokens.hs256(), tokens.signed_with_public_key(kid="new"), tokens.unsigned()):
            with pytest.raises(InvalidToken):
                await verifier.verify(forged)


async def test_a_known_key_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with tokens.key_server() as server:
        verifier = JwtVerifier(AuthSettings(**tokens.published_at(server.url)))
        await verifier.verify(tokens.rs256())
        published = verifier._published
        assert published is not None
        monkeypatch.setattr(jwks, "KEEP_SECONDS", 0)
        published._next_fetch_at = 0
        server.answering.clear()
        for _ in range(3):
            async with asyncio.timeout(jwks._ANSWER_WITHIN_SECONDS / 2):
                assert (await verifier.verify(tokens.rs256())).name == "anna"
        # meanwhile it is asked, once, and what it says holds
        server.document = {"keys": []}
        server.answering.set()
        assert published._refreshing is not None
        await published._refreshing
        assert server.asked == 2
        with pytest.raises((InvalidToken, KeysAway)):
            await verifier.verify(tokens.rs256())


@pytest.mark.parametrize("fault", ["away", "status", "document"])
async def test_keys_that_cannot_be_fetched_are_no_fault_of_the_token(fault: str) -> None:
    async with tokens.key_server() as server:
        server.status = 500 if fault == "status" else 200
        server.document = [] if fault == "document" else tokens.published()
        known = authority(**tokens.published_at("http://127.0.0.1:9/keys" if fault == "away" else server.url))
        request = make_mocked_request("GET", "/cameras", headers=tokens.bearer(tokens.rs256()))
        with pytest.raises(ProblemError) as refused:
            await known.caller(request, is_socket=False)
        assert refused.value.status == 503
        assert "Retry-After" in refused.value.headers


@pytest.mark.parametrize(
    ("path", "headers", "is_socket", "name"),
    [
        ("/", {"X-Admin-Token": ADMIN_KEY}, False, "admin"),
        ("/", {"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "grace"}, False, "grace"),
        ("/", {"Authorization": f"bearer  {ADMIN_KEY}"}, False, "admin"),
        ("/", {"Authorization": "Basic YTpi"}, False, ""),
        (f"/?access_token={ADMIN_KEY}", {}, False, ""),
        (f"/?access_token={ADMIN_KEY}", {}, True, "admin"),
        ("/", {"Sec-WebSocket-Protocol": f"bearer, {ADMIN_KEY}"}, True, "admin"),
        ("/", {"Sec-WebSocket-Protocol": f"bearer, {ADMIN_KEY}"}, False, ""),
        ("/", {"Sec-WebSocket-Protocol": "chat"}, True, ""),
    ],
)
async def test_where_tokens_are_looked_for(path: str, headers: dict[str, str], is_socket: bool, name: str) -> None:
    caller = await authority().caller(make_mocked_request("GET", path, headers=headers), is_socket)
    assert (caller.name, caller.authenticated) == (name, name != "")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Bearer {ADMIN_KEY} x"}, 401),
        ({"X-Admin-Token": ""}, 401),
        ({"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "x" * 129}, 400),
        ({"X-Admin-Token": ADMIN_KEY, "X-Admin-User": " "}, 400),
        ({"X-Admin-Token": ADMIN_KEY, "X-Admin-User": "x\x80"}, 400),
    ],
)
async def test_what_is_refused(headers: dict[str, str], status: int) -> None:
    with pytest.raises(ProblemError) as refused:
        await authority().caller(make_mocked_request("GET", "/", headers=headers), is_socket=False)
    assert refused.value.status == status


@pytest.fixture
async def guarded_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    auth = {"public_reads": False, "jwt_secret": tokens.SECRET}
    async with serving(load_settings(**{**settings.model_dump(), "auth": auth}), redis_server) as worker:
        yield worker


async def test_sockets_take_a_token_and_keep_it_secret(
    guarded_worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = tokens.hs256()
    url = guarded_worker.client.make_url("/ws/metrics")
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url.with_query(access_token=token)) as connection:
            assert await connection.receive_json() == []
        async with session.ws_connect(url, protocols=["bearer", token]) as connection:
            assert await connection.receive_json() == []
            # a browser ends a connection without the protocol that it offered
            assert connection.protocol == "bearer"
        for refused in (url, url.with_query(access_token=token + "x")):
            async with session.get(refused, headers={"Upgrade": "websocket"}) as response:
                assert response.status == 401
                assert token not in await response.text()
    # a worker has no access log: Faust switches it off
    assert not [record for record in caplog.records if record.name != "aiohttp.access" and token in record.getMessage()]


async def test_a_socket_ends_with_its_token(guarded_worker: Worker) -> None:
    ending = tokens.hs256(exp=int(time.time()) - LEEWAY_SECONDS + 2)
    url = guarded_worker.client.make_url("/ws/metrics")
    async with aiohttp.ClientSession() as session:
        async with (
            session.ws_connect(url.with_query(access_token=ending)) as short,
            session.ws_connect(url.with_query(access_token=tokens.hs256(exp=10**30))) as long,
        ):
            assert await short.receive_json() == await long.receive_json() == []
            ended = await short.receive(5)
            assert (ended.type, ended.data, ended.extra) == (WSMsgType.CLOSE, 4401, "the token has expired")
            assert not long.closed
        async with session.get(url.with_path("/cameras"), headers=tokens.bearer(ending)) as response:
            assert response.status == 401


async def test_without_any_key_it_is_said_what_to_set(settings: Settings, redis_server: RedisServer) -> None:
    async with serving(settings.model_copy(update={"admin": load_settings().admin}), redis_server) as worker:
        for headers in ({}, ADMIN, tokens.bearer(tokens.hs256("admin"))):
            async with aiohttp.ClientSession(headers=headers) as session:
                url = worker.client.make_url("/api/alerts/00000000-0000-0000-0000-000000000000/acknowledge")
                response = await session.post(url)
                assert response.status == 401
                if "X-Admin-Token" not in headers:
                    assert "ADMIN_API_KEY" in await response.text()


def test_who_listens_to_all_and_lets_all_read_is_warned(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_public_reads(load_settings())
    warn_of_public_reads(load_settings(web={"host": "192.0.2.1"}, auth={"public_reads": False}))
    assert not caplog.records
    warn_of_public_reads(load_settings(web={"host": "192.0.2.1"}))
    assert "PUBLIC_READS" in caplog.text


async def test_minted_tokens_are_valid() -> None:
    settings = AuthSettings(jwt_secret=tokens.SECRET, jwt_issuer="https://us", jwt_audience="us", role_claim="groups")
    caller = await JwtVerifier(settings).verify(mint(settings, "anna", CallerRole.OPERATOR, 8))
    assert caller == Caller("anna", CallerRole.OPERATOR, authenticated=True)


async def test_the_command_mints_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    from trafficapp.cli import main

    arguments = ["token", "--role", "operator", "--subject", "anna", "--hours", "8"]
    monkeypatch.delenv("TRAFFICAPP_AUTH__JWT_SECRET", raising=False)
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code != 0
    assert "JWT_SECRET" in refused.output
    monkeypatch.setenv("TRAFFICAPP_AUTH__JWT_SECRET", tokens.SECRET)
    printed = CliRunner().invoke(main, arguments)
    assert (await verify(printed.output.strip())).role is CallerRole.OPERATOR
