"""What people take away from the page and what they leave: files, comments, and no news of now over the past."""

from __future__ import annotations

import csv
import io
import struct
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from models.alerts import AlertEvent
from tests.stores.alerts.alert_messages import alert_event
from tests.web.administration.conftest import Call
from tests.web.conftest import Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import MARKUP, visit
from tests.web.dashboard.test_desks import WIDE, sign_in
from tests.web.sockets.test_events import step
from tests.web.stored import keep_windows, recent_window

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)


async def saved(page: Page, heading: str | None, button: str, folder: Path) -> bytes:
    """The file that a button of a panel gives."""
    place: Any = page if heading is None else page.locator(".panel", has=page.get_by_role("heading", name=heading))
    async with page.expect_download() as coming:
        await place.get_by_role("button", name=button).click()
    download = await coming.value
    await download.save_as(folder / download.suggested_filename)
    content: bytes = (folder / download.suggested_filename).read_bytes()
    return content


async def test_files_are_saved_and_hold_what_is_shown(
    history_worker: Worker, base: str, plain: Browser, tmp_path: Path
) -> None:
    rows = [recent_window("cam_01", number, avg_speed_kmh=31.5) for number in range(24, 0, -1)]
    await keep_windows(history_worker.context.settings, *rows)
    async with visit(plain, base, **WIDE, accept_downloads=True) as seen:
        await seen.go("/#/analytics")
        table = list(
            csv.reader(io.StringIO((await saved(seen.page, "Rush hours", "CSV", tmp_path)).decode("utf-8-sig")))
        )
        assert [len(table), len(table[0]), table[0][0], table[1][0]] == [25, 8, "hour", "0"]
        assert "31.5" in {cell for row in table[1:] for cell in row}
        picture = await saved(seen.page, "Rush hours", "PNG", tmp_path)
        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", picture[16:24])
        assert width > 1000
        assert height > 200
        report = await saved(seen.page, None, "Report (PDF)", tmp_path)
        assert report.startswith(b"%PDF-")
        assert report.rstrip().endswith(b"%%EOF")
        assert not seen.faults


async def test_a_comment_is_written_and_read_as_a_text(
    alert: AlertEvent, call: Call, base: str, plain: Browser
) -> None:
    async with visit(plain, base, **WIDE) as seen:
        await sign_in(seen)
        await seen.go(f"/#/alerts?alert={alert.id}")
        await seen.page.get_by_text("Nobody has written anything yet.").wait_for()
        await seen.page.get_by_label("Write a comment").fill(f"on it {MARKUP}")
        await seen.page.get_by_role("button", name="Send").click()
        await seen.page.locator(".comments li", has_text=f"on it {MARKUP}").wait_for()
        [written] = await call("GET", f"/api/alerts/{alert.id}/comments")
        assert (written["commented_by"], written["comment"]) == ("anna", f"on it {MARKUP}")
        assert not await seen.page.evaluate("'markup' in window")
        assert not await seen.unsuitable()
        assert not seen.faults


async def test_news_of_now_is_not_told_over_the_past(
    history_worker: Worker, alert: AlertEvent, base: str, plain: Browser
) -> None:
    async with visit(plain, base, **WIDE) as seen:
        await seen.go("/#/history")
        await seen.page.wait_for_selector('.badge[data-state="replay"]')
        await step(history_worker, alert_event("one", title="While in the past"), offset=200)
        # it is known, and told to nobody
        await seen.page.locator(".nav .count", has_text="2").wait_for()
        assert await seen.page.locator(".toast").count() == 0
        await seen.page.keyboard.press("Escape")
        await seen.page.wait_for_selector('main[data-room="map"]')
        await step(history_worker, alert_event("two", title="While live"), offset=201)
        await seen.page.locator(".toast", has_text="While live").wait_for()
        assert not seen.faults
