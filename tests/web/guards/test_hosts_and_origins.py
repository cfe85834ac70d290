"""Whose requests are answered: of names that are ours, from pages that are ours, with bodies no form can send."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving
from trafficapp.settings import Settings, SettingsError, load_settings
from web.guards.hosts import Hosts

FORM = "application/x-www-form-urlencoded"
UNKNOWN = "/api/alerts/00000000-0000-0000-0000-000000000000/acknowledge"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:6066", "app.localhost", "127.0.0.1:6066", "127.9.9.9", "[::1]:6066", "192.0.2.7:80"),
        *("traffic.example.org", "Traffic.Example.ORG.:443", "a.city.example.org", "b.a.city.example.org", "worker"),
    ],
)
def test_names_that_are_answered(host: str) -> None:
    assert Hosts(("traffic.example.org", ".city.example.org", "worker")).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "localhost.evil.example",
            "xlocalhost",
            "traffic.example.org.evil.example",
            "city.example.org",
        ),
        *(
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "",
            ":80",
            "[::1",
            "127.0.0.1:x",
            "a/b",
            "xcity.example.org",
        ),
        *("127.0.0.1/x", "127.1.evil", "0x7f000001", "2130706433", "127.0.0.1#x"),
    ],
)
def test_names_that_are_not(host: str) -> None:
    assert not Hosts(("traffic.example.org", ".city.example.org", "worker")).allows(host)


@pytest.fixture
async def named_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    changed = {
        "web": {**settings.web.model_dump(), "allowed_hosts": ["traffic.example.org"]},
        "limits": {**settings.limits.model_dump(), "cors_origins": ["https://pages.example.org"]},
        "auth": {"public_acknowledge": True},
    }
    async with serving(load_settings(**{**settings.model_dump(), **changed}), redis_server) as worker:
        yield worker


async def test_a_rebound_name_reads_nothing(named_worker: Worker) -> None:
    client = named_worker.client
    for path in ("/cameras", "/health", "/", "/metrics", "/ws/events", "/no/such/path", "/openapi.json"):
        refused = await client.get(path, headers={"Host": "evil.example"})
        assert (refused.status, refused.content_type) == (421, "application/problem+json"), path
    for host in ("traffic.example.org", "localhost:6066", "10.1.2.3"):
        assert (await client.get("/cameras", headers={"Host": host})).status == 200


async def test_pages_from_elsewhere_ask_for_nothing_to_be_done(named_worker: Worker) -> None:
    client = named_worker.client
    for origin, status in (
        ("https://elsewhere.example", 403),
        ("null", 403),
        ("http://[", 403),
        ("https://pages.example.org", 404),
        (str(client.make_url("/")).rstrip("/"), 404),
        (None, 404),
    ):
        headers = {} if origin is None else {"Origin": origin}
        async with aiohttp.ClientSession(headers=headers) as session:
            # not even what needs no token, and no preflight: a form without fields
            assert (await session.post(client.make_url(UNKNOWN))).status in {status, 503}
            if status == 403:
                assert (await session.post(client.make_url(UNKNOWN))).status == status


@pytest.mark.parametrize("content_type", [FORM, "text/plain", "multipart/form-data; boundary=x", None])
async def test_bodies_are_json_and_say_so(named_worker: Worker, content_type: str | None) -> None:
    client = named_worker.client
    skip = ["Content-Type"] if content_type is None else []
    headers = {} if content_type is None else {"Content-Type": content_type}
    for path, method in ((UNKNOWN, "POST"), ("/api/admin/thresholds", "PUT"), ("/api/admin/zones/1", "DELETE")):
        refused = await client.request(method, path, data=b"{}", headers=headers, skip_auto_headers=skip)
        assert (refused.status, refused.content_type) == (415, "application/problem+json")
        assert refused.headers["Accept"] == "application/json"


async def test_no_body_needs_no_type(named_worker: Worker) -> None:
    """What the dashboard of the camera system sends to acknowledge, and what libraries say of no body."""
    for headers in ({"X-Admin-User": "ada"}, {"Content-Type": FORM}, {"Content-Type": "text/plain"}):
        answer = await named_worker.client.post(UNKNOWN, headers=headers)
        assert answer.status in {404, 503}
    for written in ("application/json", "application/json; charset=utf-8", "Application/JSON"):
        answer = await named_worker.client.post("/route/recommend", data=b"{}", headers={"Content-Type": written})
        assert answer.status == 422


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"web": {"allowed_hosts": ["https://traffic.example.org"]}}, "allowed_hosts"),
        ({"web": {"allowed_hosts": ["*"]}}, "allowed_hosts"),
        ({"web": {"allowed_hosts": ["traffic.example.org:80"]}}, "allowed_hosts"),
        ({"auth": {"jwks_url": "https://id.example.org/keys"}}, "jwt_issuer"),
        ({"auth": {"jwks_url": "https://id.example.org/keys", "jwt_issuer": "https://id.example.org"}}, "jwt_audience"),
        ({"auth": {"jwks_url": "https://id.example.org/keys", "jwt_audience": "traffic"}}, "jwt_issuer"),
        ({"auth": {"jwks_url": "http://id.example.org", "jwt_issuer": "x", "jwt_audience": "y"}}, "https://"),
        ({"auth": {"jwks_url": "http://127.0.0.1.evil.example", "jwt_issuer": "x", "jwt_audience": "y"}}, "https://"),
        ({"auth": {"jwks_url": "http://127.0.0.1@evil.example", "jwt_issuer": "x", "jwt_audience": "y"}}, "https://"),
    ],
)
def test_settings_that_would_let_others_in_are_refused(wrong: dict[str, dict[str, object]], word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load_settings(**wrong)
