"""The rooms in which people work: administration, incidents, transit, analytics, the past, data quality, the system."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser

from models.alerts import AlertEvent
from tests.web.administration.conftest import Call
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import MARKUP, Visit, visit
from tests.web.incidents.test_incidents import on_the_road, tell

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

DESKS = [
    *("transit", "incidents", "incidents?incident=i", "incidents?report=yes", "analytics", "history", "quality"),
    *("quality?part=calibration", "quality?part=feeds", "system"),
]
PARTS = [f"administration{part}" for part in ("", "?part=zones&zone=1", "?part=cameras&camera=cam_01", "?part=models")]
MORE_PARTS = ["administration?part=broadcast", "administration?part=audit"]
WIDE: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}, "locale": "en-GB"}


async def sign_in(seen: Visit) -> None:
    """As the page keeps it once somebody has given a token."""
    await seen.page.context.add_init_script(
        f"sessionStorage.setItem('trafficapp-token', '{ADMIN_KEY}'); sessionStorage.setItem('trafficapp-name', 'anna')"
    )


@pytest.mark.parametrize(
    ("draws_maps", "rooms", "options"),
    [
        (True, DESKS, {"color_scheme": "light", **WIDE}),
        (
            False,
            [*DESKS, *PARTS, *MORE_PARTS],
            {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "id-ID"},
        ),
    ],
    ids=["desktop, light", "phone, dark, without maps"],
)
async def test_every_desk_opens_for_everybody_and_asks_nobody_else(
    history_worker: Worker,
    alert: AlertEvent,
    base: str,
    plain: Browser,
    drawing: Browser,
    draws_maps: bool,
    rooms: list[str],
    options: dict[str, Any],
) -> None:
    await tell(history_worker, on_the_road(description=MARKUP))
    async with visit(drawing if draws_maps else plain, base, **options) as seen:
        await sign_in(seen)
        for room in rooms:
            await seen.go(f"/#/{room}")
            assert await seen.page.get_attribute("main", "data-room") == room.split("?")[0]
            wide = await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{room} is {wide} px wider than the screen"
            assert not await seen.unsuitable(), room
            assert not await seen.page.evaluate("'markup' in window || document.querySelector('main img')"), room
            if room in ("incidents?incident=i", *PARTS[1:3]):
                fields = await seen.page.evaluate(
                    "[...document.querySelectorAll('main input')].map((one) => one.value)"
                )
                assert MARKUP in await seen.text("main") or any(MARKUP in field for field in fields), room
        assert not seen.faults


async def test_thresholds_are_previewed_and_set(alert: AlertEvent, call: Call, base: str, plain: Browser) -> None:
    async with visit(plain, base, **WIDE) as seen:
        await sign_in(seen)
        await seen.go("/#/administration")
        shares = {"low": 0.01, "moderate": 0.02, "high": 0.03}
        query = "&".join(f"congestion_threshold_{name}={value}" for name, value in shares.items())
        told = await call("GET", f"/api/admin/thresholds/preview?{query}")
        assert told["changes"]
        for at, value in enumerate(shares.values()):
            await seen.page.locator(".boundary input[type=number]").nth(at).fill(str(value))
        await seen.page.get_by_text(f"{len(told['changes'])} cameras would have another level.").wait_for()
        await seen.page.get_by_role("button", name="Set these thresholds").click()
        await seen.page.get_by_text("In force as anna set them").wait_for()
        now = await call("GET", "/api/admin/thresholds")
        assert (now["congestion_threshold_low"], now["set_by"]) == (0.01, "anna")
        assert not seen.faults


async def test_a_zone_is_typed_saved_and_deleted(alert: AlertEvent, call: Call, base: str, drawing: Browser) -> None:
    async with visit(drawing, base, **WIDE) as seen:
        await sign_in(seen)
        await seen.go("/#/administration?part=zones")
        await seen.page.get_by_role("button", name="New zone").click()
        await seen.page.get_by_role("textbox", name="Name", exact=True).fill("harbour")
        place = seen.page.locator(".maplibregl-canvas")
        for x, y in ((200, 120), (320, 140), (260, 260)):
            await place.click(position={"x": x, "y": y})
        await seen.page.get_by_role("button", name="Save").click()
        await seen.page.get_by_text("It is saved.").wait_for()
        [zone] = [zone for zone in await call("GET", "/api/admin/zones") if zone["name"] == "harbour"]
        assert len(zone["coordinates"]) == 4
        await seen.page.get_by_role("button", name="Delete").click()
        await seen.page.locator(".sure").get_by_role("button", name="Delete").click()
        await seen.page.get_by_text("It is deleted.").wait_for()
        assert "harbour" not in {zone["name"] for zone in await call("GET", "/api/admin/zones")}
        assert not seen.faults


async def test_who_may_not_administer_is_told_what_is_needed(base: str, plain: Browser) -> None:
    async with visit(plain, base, **WIDE) as seen:
        await seen.go("/#/administration?part=audit")
        assert "needs the token of an administrator" in await seen.text("main")
        assert "viewer" in await seen.text("main")
        assert not seen.faults


async def test_the_past_is_not_taken_for_now_and_one_key_leads_back(
    alert: AlertEvent, call: Call, base: str, plain: Browser
) -> None:
    async with visit(plain, base, **WIDE) as seen:
        for key in ("Escape", "l"):
            await seen.go("/#/history?rate=60")
            await seen.page.wait_for_selector('.badge[data-state="replay"]')
            assert "Not live" in await seen.text(".past")
            await seen.page.get_by_role("button", name="Play").click()
            await seen.page.get_by_role("button", name="Pause").click()
            await seen.page.keyboard.press(key)
            await seen.page.wait_for_selector('main[data-room="map"]')
            await seen.page.wait_for_selector('.badge:not(.simulated):not([data-state="replay"])')
        assert not seen.faults
