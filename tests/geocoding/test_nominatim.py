"""Asking a service: what is sent, and what each of its answers means."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from tests.geocoding.nominatim_server import NominatimServer, hanoi, nominatim_server
from trafficapp.geocoding.addresses import Address
from trafficapp.geocoding.nominatim import REFUSED_SECONDS, TOO_MANY_SECONDS, NoAnswer, NominatimClient
from trafficapp.settings.geocoding import GeocodingSettings

HANOI = (21.0278, 105.8342)
KEY = "a key/with+signs"


@pytest.fixture
async def server() -> AsyncIterator[NominatimServer]:
    async with nominatim_server() as server:
        yield server


async def ask(url: str, **settings: Any) -> Address:
    async with NominatimClient(GeocodingSettings(url=url, **settings)) as client:
        return await client.ask(*HANOI)


@pytest.mark.parametrize("path", ["", "/", "/reverse", "/v1", "/v1/reverse", "/search"])
async def test_the_address_may_be_that_of_the_service_or_of_its_search(server: NominatimServer, path: str) -> None:
    address = await ask(server.url + path)
    assert (address.city, address.province, address.source) == ("Hà Nội", "Hà Nội", "nominatim")
    assert server.asked == [HANOI]


async def test_what_is_sent(server: NominatimServer) -> None:
    await ask(server.url, api_key=KEY, user_agent="trafficapp of our city", language="vi,en")
    assert server.queries == [
        {"lat": "21.0278", "lon": "105.8342", "format": "json", "addressdetails": "1", "accept-language": "vi,en",
         "key": KEY}
    ]  # fmt: skip
    assert server.headers[0]["User-Agent"] == "trafficapp of our city"
    await ask(server.url, api_key=KEY, api_key_parameter="api_key")
    assert server.queries[1]["api_key"] == KEY
    await ask(server.url)
    assert not {"key", "api_key", "accept-language"} & server.queries[2].keys()


@pytest.mark.parametrize("status", [200, 404])
async def test_a_service_that_has_nothing_says_so_in_two_ways(server: NominatimServer, status: int) -> None:
    server.answer = lambda *_: web.json_response({"error": "Unable to geocode"}, status=status)
    assert await ask(server.url) == Address(source="nominatim")


@pytest.mark.parametrize(
    ("response", "told", "wait_seconds", "is_about_the_place"),
    [
        ({"status": 500, "text": "out of order"}, "out of order", None, True),
        ({"status": 503, "headers": {"Retry-After": "120"}}, "503", 120.0, False),
        ({"status": 503, "headers": {"Retry-After": "1000000"}}, "503", 3600.0, False),
        ({"status": 429, "headers": {"Retry-After": "77"}}, "too many requests", 77.0, False),
        ({"status": 429}, "too many requests", TOO_MANY_SECONDS, False),
        ({"status": 401, "text": "Invalid key"}, "GEOCODING_API_KEY", REFUSED_SECONDS, False),
        ({"status": 403, "text": "blocked"}, "blocked", REFUSED_SECONDS, False),
        ({"status": 404, "text": "no such page"}, "no such page", None, True),
        ({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, "elsewhere", None, True),
        ({"text": "<html>Welcome to our hotel</html>"}, "no JSON", None, True),
        ({"text": ""}, "no JSON", None, True),
        ({"body": b"\xff\xfe"}, "no JSON", None, True),
        ({"text": "[" * 100_000}, "no JSON", None, True),
        ({"text": '{"error": "Internal error"}'}, "Internal error", None, True),
        ({"text": '{"error": {"code": 400, "message": "Parameter lat"}}'}, "Parameter lat", None, True),
        ({"text": "[1, 2]"}, "cannot be read", None, True),
        ({"text": "7"}, "cannot be read", None, True),
        ({"text": '"Hanoi"'}, "cannot be read", None, True),
        ({"text": '{"type": "FeatureCollection"}'}, "cannot be read", None, True),
        ({"text": '{"display_name": "x", "lat": "1", "lon": "1"}'}, "something else", None, True),
        ({"text": '{"display_name": "x", "address": {}, "lat": "n", "lon": "1"}'}, "cannot be read", None, True),
        ({"text": '"' + "x" * (1 << 21) + '"'}, "more than 1,048,576 bytes", None, True),
    ],
)
async def test_what_is_no_answer_says_why_and_how_long_to_wait(
    server: NominatimServer,
    response: dict[str, Any],
    told: str,
    wait_seconds: float | None,
    is_about_the_place: bool,
) -> None:
    server.answer = lambda *_: web.Response(**response)
    with pytest.raises(NoAnswer, match=told) as failed:
        await ask(server.url, api_key=KEY)
    assert (failed.value.wait_seconds, failed.value.is_about_the_place) == (wait_seconds, is_about_the_place)
    assert len(str(failed.value)) < 500


async def test_a_list_of_one_answer_is_an_answer(server: NominatimServer) -> None:
    server.answer = lambda *place: [hanoi(*place)]
    assert (await ask(server.url)).city == "Hà Nội"


async def test_a_service_that_is_away_or_slow(server: NominatimServer) -> None:
    server.away = True
    with pytest.raises(NoAnswer, match="cannot be asked") as cut:
        await ask(server.url)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(NoAnswer, match=r"within 0\.2 s") as slow:
            await ask(url := f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2)
    with pytest.raises(NoAnswer, match="cannot be asked") as refused:
        await ask(url)
    assert not any(failed.value.is_about_the_place for failed in (cut, slow, refused))


async def test_the_key_is_told_to_nobody(server: NominatimServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("geopy").setLevel(logging.WARNING)
    for status in (200, 400, 500, 302):
        told = {"Location": f"http://127.0.0.1:9/?key={KEY}"} if status == 302 else {}
        server.answer = lambda *_, status=status, told=told: web.Response(
            status=status, text=f"your key {KEY}", headers=told
        )
        with pytest.raises(NoAnswer) as failed:
            await ask(server.url, api_key=KEY)
        assert KEY not in str(failed.value)
        assert failed.value.__cause__ is None
    server.away = True
    with pytest.raises(NoAnswer):
        await ask(server.url, api_key=KEY)
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp")]
    assert not [line for line in ours if "signs" in line]
    assert KEY not in repr(GeocodingSettings(url=server.url, api_key=KEY))


@pytest.mark.parametrize(
    "url", ["nominatim.example.org", "ftp://a", "http://", "https://user:pw@a", "https://a?key=1", "http://a b"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        GeocodingSettings(url=url)
