from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request

from tests.stores.redis.redis_server import RedisServer
from tests.web.auth import tokens
from tests.web.conftest import ADMIN, Worker, serving
from trafficapp.settings import LimitSettings, Settings, SettingsError, load_settings
from web.serving import limits
from web.serving.limits import RateLimiter
from web.serving.problems import ProblemError

ORIGIN = "https://traffic.example.org"
BODY_PATH = "/api/alerts/00000000-0000-0000-0000-000000000000/acknowledge"


JSON = {"Content-Type": "application/json"}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_fills() -> None:
    clock = Clock()
    limiter = RateLimiter(LimitSettings(requests_per_second=2, burst=3), clock)
    assert [limiter.spend("a").remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(ProblemError) as refused:
        limiter.spend("a")
    assert refused.value.status == 429
    assert refused.value.headers == {
        "Retry-After": "1",
        "RateLimit-Limit": "3",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "2",
    }
    assert limiter.spend("b").remaining == 2
    clock.now = 0.5
    assert limiter.spend("a").remaining == 0
    clock.now = 100
    assert limiter.spend("a").remaining == 2


def test_guessing_ends_and_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    limiter = RateLimiter(LimitSettings(requests_per_second=1, burst=100), clock)
    for _ in range(5):
        limiter.count_failed_login("a")
    with pytest.raises(ProblemError):
        limiter.count_failed_login("a")
    limiter.count_failed_login("b")
    assert limiter.spend("a").remaining == 99
    clock.now = 20
    limiter.count_failed_login("a")


def test_long_lists_cost_as_much_as_many_requests() -> None:
    clock = Clock()
    limiter = RateLimiter(LimitSettings(requests_per_second=10, burst=100), clock)
    for rows, remaining in ((1, 99), (500, 98), (1000, 87), (5000, -4)):
        limiter.spend("a")
        limiter.spend_on_rows("a", rows)
        assert limiter._buckets["a"].tokens == remaining
    with pytest.raises(ProblemError) as refused:
        limiter.spend("a")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
    assert limiter.spend("b").remaining == 99


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 10)
    limiter = RateLimiter(LimitSettings(burst=5), Clock())
    for number in range(100):
        limiter.spend("regular")
        limiter.spend(str(number)) if number % 20 else None
        if number >= 4:
            break
    with pytest.raises(ProblemError):
        limiter.spend("regular")
    for number in range(100):
        limiter.spend(f"stranger {number}")
    assert len(limiter._buckets) == 10


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("10.0.0.7", "1.2.3.4", "1.2.3.4"),
        ("10.0.0.7", "9.9.9.9, 1.2.3.4, 10.0.0.8", "1.2.3.4"),
        ("10.0.0.7", "9.9.9.9, nonsense", "10.0.0.7"),
        ("10.0.0.7", "", "10.0.0.7"),
        ("6.6.6.6", "1.2.3.4", "6.6.6.6"),
        ("2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::/64"),
    ],
)
def test_who_a_client_is(remote: str, forwarded: str, client: str) -> None:
    limiter = RateLimiter(LimitSettings(trusted_proxies=("10.0.0.0/24",)))
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = make_mocked_request("GET", "/", headers=headers).clone(remote=remote)
    assert limiter.address(request) == client


@pytest.fixture
async def narrow_worker(settings: Settings, redis_server: RedisServer) -> AsyncIterator[Worker]:
    narrow = {
        "requests_per_second": 0.01,
        "burst": 60,
        "body_bytes": 1024,
        "query_bytes": 256,
        "cors_origins": [ORIGIN],
    }
    complete = {**settings.model_dump(), "limits": narrow, "auth": {"jwt_secret": tokens.SECRET}}
    async with serving(load_settings(**complete), redis_server) as worker:
        yield worker


async def test_each_client_has_its_own_measure(narrow_worker: Worker) -> None:
    url = narrow_worker.client.make_url("/no/such/path")
    async with aiohttp.ClientSession() as session:
        first = await session.get(url)
        assert (first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == ("60", "59")
        for _ in range(59):
            assert (await session.get(url)).status == 404
        refused = await session.get(url)
        assert (refused.status, refused.content_type) == (429, "application/problem+json")
        assert int(refused.headers["Retry-After"]) > 0
        assert refused.headers["X-Content-Type-Options"] == "nosniff"
        for name in ("anna", "otto"):
            known = await session.get(url.with_path("/cameras"), headers=tokens.bearer(tokens.hs256(sub=name)))
            assert (known.status, known.headers["RateLimit-Remaining"]) == (200, "59")


async def test_what_comes_unasked_costs_one_request(narrow_worker: Worker) -> None:
    """Dashboards poll lists without a limit, of which some are long."""
    url = narrow_worker.client.make_url("/metrics/current")
    async with aiohttp.ClientSession() as session:
        for path, remaining in (
            ("/metrics/current", "59"),
            ("/traffic/current", "58"),
            ("/api/predict/roads", "57"),
            ("/api/vehicles/locations?limit=100", "56"),
        ):
            answer = await session.get(str(url.origin()) + path)
            assert (answer.status, answer.headers["RateLimit-Remaining"]) == (200, remaining), path


async def test_guessing_is_refused_and_a_right_token_of_the_same_address_is_not(narrow_worker: Worker) -> None:
    url = narrow_worker.client.make_url("/cameras")
    async with aiohttp.ClientSession() as session:
        twice = [("Authorization", "Bearer x"), ("Authorization", "Bearer y")]
        guesses: list[Any] = [{"X-Admin-Token": "guess"}] * 2 + [twice, twice, ADMIN]
        assert [(await session.get(url, headers=guess)).status for guess in guesses] == [401, 401, 401, 429, 200]
        assert (await session.get(url)).status == 200


@pytest.mark.parametrize("kind", ["wrong tokens", "preflights"])
async def test_what_is_refused_is_counted(narrow_worker: Worker, kind: str) -> None:
    url = narrow_worker.client.make_url("/cameras")
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    async with aiohttp.ClientSession() as session:
        for _ in range(60):
            if kind == "preflights":
                assert (await session.options(url, headers=preflight)).status == 403
            else:
                assert (await session.get(url, headers={"X-Admin-Token": "guess"})).status in (401, 429)
        assert (await session.get(url)).status == 429


async def test_long_queries_and_large_bodies(narrow_worker: Worker) -> None:
    client = narrow_worker.client
    assert (await client.get("/cameras", params={"x": "y" * 300})).status == 414

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    for body in (b" " * 1025, in_pieces()):
        response = await client.post(BODY_PATH, data=body, headers=JSON)
        assert (response.status, response.content_type) == (413, "application/problem+json")
    packed = {"Content-Encoding": "gzip", **JSON}
    assert (await client.post(BODY_PATH, data=gzip.compress(b" " * 100_000), headers=packed)).status == 413
    assert (await client.post(BODY_PATH, data=b"no gzip", headers=packed)).status == 400
    assert (await client.post(BODY_PATH, data=b"[" * 1024, headers=JSON)).status in (400, 422)
    assert (await client.post(BODY_PATH, data=b"{", headers=JSON)).status == 400
    assert (await client.post(BODY_PATH, data=b"[]", headers=JSON)).status == 422


async def test_a_body_that_never_ends(narrow_worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_WITHIN_SECONDS", 0.1)
    forever = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await forever.wait()

    response = await narrow_worker.client.post(BODY_PATH, data=slow(), headers=JSON)
    assert response.status == 408
    forever.set()


async def test_pages_from_elsewhere(narrow_worker: Worker) -> None:
    client = narrow_worker.client
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    allowed = await client.options(BODY_PATH, headers=preflight)
    assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
    assert allowed.headers["Access-Control-Allow-Methods"] == "POST"
    assert "X-Admin-Token" in allowed.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    refused = await client.options(BODY_PATH, headers=preflight | {"Origin": "https://elsewhere.example"})
    assert refused.status == 403
    assert "Access-Control-Allow-Origin" not in refused.headers
    for path in ("/ws/metrics", BODY_PATH):
        method = "OPTIONS" if path == BODY_PATH else "GET"
        assert (await client.request(method, path, headers=preflight | {"Origin": "http://["})).status == 403
    # errors say it too, else a page could not read them
    answer = await client.get("/metrics/history", headers={"Origin": ORIGIN})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (
        400,
        ORIGIN,
        "Origin",
    )
    network = await client.get("/api/roads/network", headers={"Origin": ORIGIN})
    assert network.headers["Vary"] == "Origin, Accept-Encoding"
    for origin, status in ((ORIGIN, 426), ("https://elsewhere.example", 403)):
        assert (await client.get("/ws/metrics", headers={"Origin": origin})).status == status


@pytest.mark.parametrize(
    "limits", [{"cors_origins": ["*"]}, {"cors_origins": ["traffic.example.org"]}, {"trusted_proxies": ["proxy"]}]
)
def test_settings_that_would_mean_nothing_are_refused(limits: dict[str, list[str]]) -> None:
    with pytest.raises(SettingsError, match=next(iter(limits))):
        load_settings(limits=limits)
