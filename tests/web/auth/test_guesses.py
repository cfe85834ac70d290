from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client import Counter

from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, ADMIN_KEY, Worker, serving
from trafficapp.settings import AuthSettings, Settings, SettingsError, load_settings
from web.auth.access import Authority, CallerRole
from web.auth.callers import Caller
from web.auth.guesses import GuessedKeys
from web.serving.limits import RateLimiter
from web.serving.problems import ProblemError

PROXIED = {"trusted_proxies": ["127.0.0.1"], "requests_per_second": 1e6, "burst": 1_000_000}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def held_up(guessed: GuessedKeys, address: str) -> bool:
    try:
        guessed.check(address)
    except ProblemError as error:
        return error.status == 429 and int(error.headers["Retry-After"]) >= 1
    return False


def test_one_address_guesses_a_few_times() -> None:
    clock = Clock()
    guessed = GuessedKeys(AuthSettings(wrong_keys_per_minute=6, wrong_keys_per_minute_in_all=1000), clock)
    tries = 0
    while not held_up(guessed, "a"):
        guessed.wrong("a")
        tries += 1
    assert tries == 12
    assert not held_up(guessed, "b")
    clock.now = 10
    assert not held_up(guessed, "a")


def test_many_addresses_hold_up_strangers_but_nobody_who_had_the_right_key() -> None:
    clock = Clock()
    guessed = GuessedKeys(AuthSettings(wrong_keys_per_minute=6, wrong_keys_per_minute_in_all=30), clock)
    guessed.right("office")
    for number in range(60):
        assert not held_up(guessed, f"bot {number}")
        guessed.wrong(f"bot {number}")
    assert held_up(guessed, "another bot")
    assert not held_up(guessed, "office")
    clock.now = 3700
    for number in range(60):
        guessed.wrong(f"bot {number}")
    assert held_up(guessed, "office")


@pytest.mark.parametrize("key", ["short", "x" * 31])
def test_a_short_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(SettingsError, match=r"admin\.api_key.*ADMIN_API_KEY.*32"):
        load_settings(admin={"api_key": key})


async def ask(authority: Authority, **headers: str) -> int:
    """Give the status, with the key that is looked at or not."""
    request = make_mocked_request("GET", "/", headers=headers)
    try:
        await authority.caller(request, is_socket=False)
    except ProblemError as error:
        return error.status
    return 200


@pytest.mark.parametrize("header", ["X-Admin-Token", "Authorization"])
async def test_keys_are_not_compared_any_more_when_too_many_were_wrong(
    header: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Counter("failed", "", ["kind"], registry=None)
    auth = {"wrong_keys_per_minute": 1.5, "jwt_secret": tokens.SECRET}
    authority = Authority(load_settings(auth=auth, admin={"api_key": ADMIN_KEY}), failed, lambda _: "192.0.2.7")
    start = "Bearer " if header == "Authorization" else ""

    async def tried(key: str) -> int:
        return await ask(authority, **{header: start + key})

    caplog.set_level(logging.WARNING)
    assert [await tried(key) for key in ("my-secret", ADMIN_KEY, "my-secret", "my-secret")] == [401, 200, 401, 401]
    monkeypatch.setattr(authority._static, "matches", lambda _: pytest.fail("it was compared"))
    assert [await tried("my-secret"), await tried(ADMIN_KEY)] == [429, 429]
    # who has a token signed by us is nobody who guesses the key
    assert await ask(authority, Authorization=f"Bearer {tokens.hs256('admin')}") == 200
    counts = {kind: failed.labels(kind)._value.get() for kind in ("key", "token", "held_up")}
    assert counts == {"key": 3, "token": 0, "held_up": 2}
    assert caplog.text.count("a wrong administrator's key came from 192.0.2.7") == 3
    assert "my-secret" not in caplog.text


@pytest.fixture
async def guessing_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    changed = {"limits": PROXIED, "auth": {"wrong_keys_per_minute": 1}}
    async with serving(load_settings(**{**settings.model_dump(), **changed}), redis_server) as worker:
        yield worker


async def test_of_one_address_and_the_others(guessing_worker: Worker) -> None:
    url = guessing_worker.client.make_url("/cameras")

    async def status(address: str, **headers: Any) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"X-Forwarded-For": address, **headers}) as response,
        ):
            return response.status

    wrong = {"X-Admin-Token": "guess" * 10}
    assert [await status("192.0.2.1", **wrong) for _ in range(4)] == [401, 401, 429, 429]
    assert await status("192.0.2.1", **ADMIN) == 429
    assert await status("192.0.2.1") == 200
    assert await status("192.0.2.2", **ADMIN) == 200
    text = await (await guessing_worker.client.get("/metrics")).text()
    assert 'b2_failed_logins_total{kind="key"} 2.0' in text
    assert 'b2_failed_logins_total{kind="held_up"} 3.0' in text


def test_a_name_gives_no_bucket_of_its_own() -> None:
    limiter = RateLimiter(load_settings().limits)
    request = make_mocked_request("GET", "/")
    by_key = [Caller(name, CallerRole.ADMIN, authenticated=True, by_key=True) for name in ("anna", "otto")]
    of_token = Caller("anna", CallerRole.VIEWER, authenticated=True)
    assert len({limiter.client(request, caller) for caller in by_key}) == 1
    assert limiter.client(request, of_token) not in {limiter.client(request, caller) for caller in by_key}
    assert limiter.client(request, Caller("", CallerRole.VIEWER, authenticated=False)) == limiter.address(request)
