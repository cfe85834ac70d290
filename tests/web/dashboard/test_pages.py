"""Every room in a browser: its figures, its words, who can use it, what it asks for."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser

from models.alerts import AlertEvent
from models.timestamps import rfc3339
from tests.stores.alerts.alert_messages import alert_event, store
from tests.stores.redis.rows import window_rows
from tests.web.administration.conftest import Call, Connection, call, migrated, tables
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import Door, browser, visit
from tests.web.sockets.test_events import step
from trafficapp.engine.kafka import create_topics
from trafficapp.fleet.feeds import CARS, FLEET
from trafficapp.topics import ALERTS, declared_topics

__all__ = ["call", "migrated", "tables"]

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

ROOMS = ["map", "cameras", "roads", "routes", "alerts"]
MARKUP = '<img src=x onerror="window.markup=1"><b>bold</b>'


@pytest.fixture
async def base(history_worker: Worker) -> str:
    """The address of a worker whose Kafka takes what people do."""
    settings = history_worker.context.settings
    needed = {ALERTS, FLEET.topic_in(settings)}
    await create_topics(settings, [topic for topic in declared_topics(settings, [CARS]) if topic.name in needed])
    return str(history_worker.client.make_url("/"))


@pytest.fixture
async def plain() -> AsyncIterator[Browser]:
    """A browser that draws no maps."""
    async with browser(draws_maps=False) as running:
        yield running


async def furnish(worker: Worker, call: Call, tables: Connection) -> AlertEvent:
    """Two cameras, a zone and an open alert, with markup in what people may write; gives the alert."""
    await worker.put(*window_rows("cam_01", 12), *window_rows("cam_02", 3))
    place = {"latitude": 44.4971, "longitude": 11.3274}
    await call("POST", "/api/admin/cameras", {"camera_id": "cam_01", "name": f"One {MARKUP}", **place}, 201)
    ring = [{"lat": 44.49, "lon": 11.31}, {"lat": 44.49, "lon": 11.34}, {"lat": 44.5, "lon": 11.34}]
    await call("POST", "/api/admin/zones", {"name": f"zone {MARKUP}", "coordinates": ring}, 201)
    now = rfc3339(time.time_ns() // 1000)
    times = {"since": now, "triggered_at": now, "updated_at": now}
    alert = alert_event("lorry", "cam_01", title=f"Lorry {MARKUP}", message=MARKUP, **times)
    await tables.execute("TRUNCATE alerts, alert_acknowledgements")
    await store(tables, alert)
    await step(worker, alert)
    return alert


@pytest.mark.parametrize(
    ("draws_maps", "options"),
    [
        (True, {"color_scheme": "light", "viewport": {"width": 1400, "height": 900}}),
        (False, {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "vi-VN"}),
    ],
    ids=["desktop, light", "phone, dark, without maps"],
)
async def test_every_room_opens_for_everybody_and_asks_nobody_else(
    history_worker: Worker, call: Call, tables: Connection, base: str, draws_maps: bool, options: dict[str, Any]
) -> None:
    alert = await furnish(history_worker, call, tables)
    async with browser(draws_maps) as running, visit(running, base, **options) as seen:
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
    history_worker: Worker, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    alert = await furnish(history_worker, call, tables)
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
    history_worker: Worker, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    alert = await furnish(history_worker, call, tables)
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
    history_worker: Worker, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    await furnish(history_worker, call, tables)
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
