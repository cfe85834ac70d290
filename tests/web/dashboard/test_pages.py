"""Every room in a browser: its figures, its words, who can use it, what it asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.stores.redis.rows import window_rows
from tests.web.administration.conftest import Call, call, migrated, tables
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import Door, browser, visit

__all__ = ["call", "migrated", "tables"]

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

ROOMS = ["map", "cameras", "roads", "routes", "alerts"]
MARKUP = '<img src=x onerror="window.markup=1"><b>bold</b>'


@pytest.fixture
async def started(history_worker: Worker) -> AsyncIterator[tuple[Any, str]]:
    async with browser() as running:
        yield running, str(history_worker.client.make_url("/"))


async def furnish(worker: Worker, call: Call) -> str:
    """Two cameras, a zone and an alert, all of them with markup in their names; gives the alert's id."""
    await worker.put(*window_rows("cam_01", 12), *window_rows("cam_02", 3))
    place = {"latitude": 44.4971, "longitude": 11.3274}
    await call("POST", "/api/admin/cameras", {"camera_id": "cam_01", "name": f"One {MARKUP}", **place}, 201)
    ring = [{"lat": 44.49, "lon": 11.31}, {"lat": 44.49, "lon": 11.34}, {"lat": 44.5, "lon": 11.34}]
    await call("POST", "/api/admin/zones", {"name": "centre of it", "description": MARKUP, "coordinates": ring}, 201)
    alert = await call(
        "POST", "/api/alerts", {"alert_type": "incident", "title": f"Lorry {MARKUP}", "message": MARKUP}, 201
    )
    return str(alert["id"])


async def test_every_room_opens_for_everybody_and_asks_nobody_else(
    history_worker: Worker, call: Call, started: tuple[Any, str]
) -> None:
    alert = await furnish(history_worker, call)
    running, base = started
    for options in (
        {"color_scheme": "light", "viewport": {"width": 1400, "height": 900}},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "vi-VN"},
    ):
        async with visit(running, base, **options) as seen:
            for room in [*ROOMS, "cameras?camera=cam_01", f"alerts?alert={alert}", "map?kind=camera&id=cam_01"]:
                await seen.go(f"/#/{room}")
                assert await seen.page.get_attribute("main", "data-room") == room.split("?")[0]
                wide = await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, f"{room} is {wide} px wider than the screen"
                assert not await seen.unsuitable(), room
            assert not await seen.page.evaluate("'markup' in window || document.querySelector('main img')")
            assert not seen.faults


async def test_figures_on_the_screen_are_those_of_the_api(
    history_worker: Worker, call: Call, started: tuple[Any, str]
) -> None:
    alert = await furnish(history_worker, call)
    running, base = started
    async with visit(running, base, viewport={"width": 1400, "height": 900}, locale="en-GB") as seen:
        await seen.go("/#/cameras")
        for camera, name in (("cam_01", f"One {MARKUP}"), ("cam_02", "cam_02")):
            row = await call("GET", f"/metrics/current?camera_id={camera}")
            shown = seen.page.locator(f'a[href="#/cameras?camera={camera}"]')
            await shown.locator(".name", has_text=name).wait_for()
            assert await shown.locator(".vehicles").inner_text() == str(row["vehicle_count"])
            assert await shown.locator(".speed").inner_text() == f"{row['avg_speed_kmh']:.1f}"
            assert await shown.locator(".score > :last-child").inner_text() == f"{row['congestion_score']:.2f}"
            assert (await shown.locator(".level").inner_text()).strip() == row["congestion_level"]
        await seen.go("/#/alerts")
        current = await call("GET", "/api/alerts/current?include=quality")
        assert await seen.page.locator(".pick.alert").count() >= len(current) == 1
        assert await seen.text(".nav .count") == "1"
        await seen.go(f"/#/alerts?alert={alert}")
        assert "raised by a person" in await seen.text("main")
        assert MARKUP in await seen.text("main")
        network = await call("GET", "/api/roads/network")
        await seen.go("/roads")
        assert f"of {len({road['properties']['road_id'] for road in network['features']})} roads" in await seen.text(
            ".room-title"
        )
        assert not seen.faults


async def test_an_alert_is_taken_on_by_who_signs_in(
    history_worker: Worker, call: Call, started: tuple[Any, str]
) -> None:
    alert = await furnish(history_worker, call)
    running, base = started
    async with visit(running, base, viewport={"width": 1400, "height": 900}, locale="en-GB") as seen:
        await seen.go(f"/#/alerts?alert={alert}")
        await seen.page.get_by_role("button", name="Take it on").click()
        await seen.page.fill("dialog input[name=token]", ADMIN_KEY)
        await seen.page.fill("dialog input[name=name]", "anna")
        await seen.page.click("dialog button.primary")
        await seen.page.get_by_role("button", name="Take it on").click()
        await seen.page.get_by_text("You have taken it on.").wait_for()
        told = await call("GET", f"/api/alerts/{alert}")
        assert told["acknowledged_by"] == "anna"
        assert not seen.faults


async def test_it_says_when_it_is_not_live_and_misses_nothing(
    history_worker: Worker, call: Call, started: tuple[Any, str]
) -> None:
    await furnish(history_worker, call)
    running, _ = started
    url = history_worker.client.make_url("/")
    door = Door(str(url.host), int(url.port or 0))
    await door.open()
    async with visit(running, f"http://127.0.0.1:{door.port}", locale="en-GB") as seen:
        await seen.go("/#/alerts")
        await seen.page.wait_for_selector('.badge[data-state="live"], .badge[data-state="standing"]')
        await seen.page.evaluate("window.sameDocument = true")
        await door.close()
        await seen.page.wait_for_selector('.badge[data-state="lost"]')
        await seen.page.locator('.banner[data-kind="lost"]').first.wait_for()
        await call("POST", "/api/alerts", {"alert_type": "manual", "title": "Meanwhile", "message": "while away"}, 201)
        await door.open()
        await seen.page.locator(".pick.alert", has_text="Meanwhile").first.wait_for()
        await seen.page.wait_for_selector('.badge[data-state="live"], .badge[data-state="standing"]')
        assert await seen.page.evaluate("window.sameDocument")
        assert not [fault for fault in seen.faults if "ERR_" not in fault]
        await door.close()
