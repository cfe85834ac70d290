"""Every room in a browser: its figures, its words, who can use it, what it asks for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from playwright.async_api import Browser

from models.alerts import AlertEvent
from tests.stores.alerts.alert_messages import alert_event
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import MARKUP, Door, visit
from tests.web.sockets.test_events import step

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

ROOMS = ["map", "cameras", "roads", "routes", "alerts"]


@pytest.mark.parametrize(
    ("draws_maps", "options"),
    [
        (True, {"color_scheme": "light", "viewport": {"width": 1400, "height": 900}}),
        (False, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "vi-VN"}),
    ],
    ids=["desktop, light", "phone, dark, without maps"],
)
async def test_every_room_opens_for_everybody_and_asks_nobody_else(
    alert: AlertEvent, base: str, plain: Browser, drawing: Browser, draws_maps: bool, options: dict[str, Any]
) -> None:
    async with visit(drawing if draws_maps else plain, base, **options) as seen:
        for room in [*ROOMS, "cameras?camera=cam_01", f"alerts?alert={alert.id}", "map?kind=camera&id=cam_01"]:
            await seen.go(f"/#/{room}")
            assert await seen.page.get_attribute("main", "data-room") == room.split("?")[0]
            assert (await seen.page.locator("canvas.maplibregl-canvas").count() > 0) == (
                draws_maps and room.split("?")[0] in {"map", "roads", "routes"}
            ), room
            wide = await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{room} is {wide} px wider than the screen"
            assert not await seen.unsuitable(), room
        if draws_maps:
            await seen.go("/#/map")
            await seen.page.get_by_role("button", name="Zoom in").click()
            await seen.page.wait_for_url("**#/map?at=44.49*,11.3*")
        assert not await seen.page.evaluate("'markup' in window || document.querySelector('main img')")
        assert not seen.faults


async def test_figures_on_the_screen_are_those_of_the_api(
    history_worker: Worker, alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    async with visit(plain, base, viewport={"width": 1400, "height": 900}, locale="en-GB") as seen:
        await seen.go("/#/cameras")
        for camera, name in (("cam_01", f"One {MARKUP}"), ("cam_02", "cam_02")):
            row = await call("GET", f"/metrics/current?camera_id={camera}")
            shown = seen.page.locator(f'a[href="#/cameras?camera={camera}"]')
            await shown.locator(".name", has_text=name).wait_for()
            assert await shown.locator(".vehicles").text_content() == str(row["vehicle_count"])
            assert await shown.locator(".speed").text_content() == f"{row['avg_speed_kmh']:.1f}"
            assert await shown.locator(".score > :last-child").text_content() == f"{row['congestion_score']:.2f}"
            assert (await shown.locator(".level").text_content() or "").strip() == row["congestion_level"]
        await seen.go("/#/alerts")
        current = await call("GET", "/api/alerts/current?include=quality")
        assert await seen.page.locator(".pick.alert").count() >= len(current) == 1
        assert await seen.text(".nav .count") == "1"
        await seen.go(f"/#/alerts?alert={alert.id}")
        assert alert.rule in await seen.text("main")
        assert MARKUP in await seen.text("main")
        network = await call("GET", "/api/roads/network")
        await seen.go("/roads")
        assert f"of {len({road['properties']['road_id'] for road in network['features']})} roads" in await seen.text(
            ".room-title"
        )
        assert not seen.faults


async def test_an_alert_is_taken_on_by_who_signs_in(
    history_worker: Worker, alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    async with visit(plain, base, viewport={"width": 1400, "height": 900}, locale="en-GB") as seen:
        await seen.go(f"/#/alerts?alert={alert.id}")
        await seen.page.get_by_role("button", name="Take it on").click()
        await seen.page.fill("dialog input[name=token]", ADMIN_KEY)
        await seen.page.fill("dialog input[name=name]", "anna")
        await seen.page.click("dialog button.primary")
        await seen.page.get_by_role("button", name="Take it on").click()
        await seen.page.get_by_text("You have taken it on.").wait_for()
        taken = await tables.fetch("SELECT alert_id, acknowledged_by FROM alert_acknowledgements")
        assert [tuple(row) for row in taken] == [(uuid.UUID(alert.id), "anna")]
        assert not seen.faults


async def test_it_says_when_it_is_not_live_and_misses_nothing(
    history_worker: Worker, alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    url = history_worker.client.make_url("/")
    door = Door(str(url.host), int(url.port or 0))
    await door.open()
    async with visit(plain, f"http://127.0.0.1:{door.port}", locale="en-GB") as seen:
        await seen.go("/#/alerts")
        await seen.page.wait_for_selector('.badge[data-state="live"], .badge[data-state="standing"]')
        await seen.page.evaluate("window.sameDocument = true")
        await door.close()
        await seen.page.wait_for_selector('.badge[data-state="lost"]')
        await seen.page.locator('.banner[data-kind="lost"]').first.wait_for()
        await step(history_worker, alert_event("meanwhile", title="Meanwhile"), offset=101)
        await door.open()
        await seen.page.locator(".pick.alert", has_text="Meanwhile").first.wait_for()
        await seen.page.wait_for_selector('.badge[data-state="live"], .badge[data-state="standing"]')
        assert await seen.page.evaluate("window.sameDocument")
        assert not [fault for fault in seen.faults if "ERR_" not in fault]
        await door.close()
