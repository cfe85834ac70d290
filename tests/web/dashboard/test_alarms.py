"""Alarm management in a browser: load, shelving and release, hand-over."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from playwright.async_api import Browser

from models.alerts import AlertEvent
from tests.stores.alerts.alert_messages import FAR, alert_event
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import MARKUP, Visit, visit
from tests.web.dashboard.test_desks import WIDE, sign_in
from tests.web.sockets.test_events import step

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

PARTS = ("load", "shelves", "handover")
#: Where pictures are put for people to look at; none are taken without it.
PICTURES = os.environ.get("PICTURES")


async def picture(seen: Visit, name: str) -> None:
    if PICTURES:
        await seen.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


async def test_people_are_told_of_an_alert_once_it_is_an_alarm(
    history_worker: Worker, alert: AlertEvent, base: str, plain: Browser
) -> None:
    held = alert_event("red light", severity="WARNING", title="At the lights", alarm_at=None)
    async with visit(plain, base, **WIDE) as seen:
        await seen.go("/#/alerts")
        await step(history_worker, held, offset=300)
        row = seen.page.locator(".pick.alert[data-withheld=held]", has_text="At the lights")
        await row.get_by_text("not told yet").wait_for()
        # the other one is told, this one is not
        assert await seen.text(".nav .count") == "1"
        assert await seen.page.locator(".toast").count() == 0

        later = {"action": "updated", "revision": 2, "updated_at": FAR, "alarm_at": FAR}
        await step(history_worker, structs.replace(held, **later), offset=301)
        await seen.page.locator(".toast", has_text="At the lights").wait_for()
        await seen.page.locator(".nav .count", has_text="2").wait_for()

        # a rise is told as a new alert and as an update: that is once
        risen = {"severity": "CRITICAL", "revision": 3, "values": {"risen_from": "WARNING"}, "message": "Now severe"}
        await step(history_worker, structs.replace(held, **later | risen), offset=302)
        await seen.page.locator(".toast", has_text="Now severe").wait_for()
        assert await seen.page.locator(".toast").count() == 2
        over = {"action": "resolved", "revision": 4, "resolved_at": FAR}
        await step(history_worker, structs.replace(held, **later | over), offset=303)
        await seen.page.locator(".nav .count", has_text="1").wait_for()
        assert not seen.faults


async def test_an_alert_is_shelved_and_released(
    alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    async with visit(plain, base, color_scheme="light", **WIDE) as seen:
        await sign_in(seen)
        await seen.go(f"/#/alerts?alert={alert.id}")
        await seen.page.get_by_role("button", name="Shelve").click()
        await seen.page.locator("dialog[open] [name=what]").select_option("rule")
        await seen.page.locator("dialog[open] [name=minutes]").select_option("30")
        await seen.page.fill("dialog[open] [name=reason]", MARKUP)
        await picture(seen, "shelving")
        assert not await seen.unsuitable()
        await seen.page.locator("dialog[open] button.primary").click()
        await seen.page.locator(".withheld", has_text=MARKUP).wait_for()
        await seen.page.locator(".pick.alert[data-withheld=shelved]").first.wait_for()
        await picture(seen, "shelved")
        (shelf,) = await call("GET", "/api/alarms/shelves")
        assert (shelf["rule"], shelf["source"], shelf["shelved_by"]) == ("congestion", "cam_01", "anna")

        await seen.go("/#/alerts?part=shelves")
        await picture(seen, "shelves")
        await seen.page.get_by_role("button", name="Release").click()
        await seen.page.locator(".sure button.primary").click()
        await seen.page.get_by_text("Nothing is shelved.").wait_for()
        await seen.page.get_by_text("released by").wait_for()
        assert await call("GET", "/api/alarms/shelves") == []
        assert not await seen.page.evaluate("'markup' in window")
        assert not seen.faults


@pytest.mark.parametrize(
    "options",
    [
        {"color_scheme": "light", **WIDE},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "vi-VN"},
    ],
    ids=["desktop, light", "phone, dark"],
)
async def test_load_shelves_and_hand_over_are_for_everybody(
    alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser, options: dict[str, Any]
) -> None:
    body = {"rule": "congestion", "source_kind": "camera", "source": "cam_01", "minutes": 30, "reason": MARKUP}
    await call("POST", "/api/alarms/shelves", body, 201)
    await call("POST", f"/api/alerts/{alert.id}/comments", {"comment": MARKUP}, 201)
    await call("POST", f"/api/alerts/{alert.id}/acknowledge", {"admin_id": "ada"})
    async with visit(plain, base, **options) as seen:
        for part in ("open", *PARTS):
            await seen.go(f"/#/alerts?part={part}")
            await picture(seen, f"{part}-{options['color_scheme']}")
            wide = await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{part} is {wide} px wider than the screen"
            assert not await seen.unsuitable(), part
        assert MARKUP in await seen.text("main")
        assert "ada" in await seen.text("main")
        await seen.page.emulate_media(media="print")
        assert await seen.page.locator(".parts, .handover select").first.is_hidden()
        await picture(seen, f"print-{options['color_scheme']}")
        assert not seen.faults


async def test_the_load_is_that_of_the_api(alert: AlertEvent, call: Call, base: str, plain: Browser) -> None:
    async with visit(plain, base, **WIDE) as seen:
        await seen.go("/#/alerts?part=load")
        found = await call("GET", "/api/alarms/performance")
        shown = await seen.text("main")
        assert f"{found['raised']} raised: {found['told']} told" in shown
        assert "No alarm flood" in shown
        assert not seen.faults
