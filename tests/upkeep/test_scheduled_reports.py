"""Reports by the clock, in a folder and to a webhook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pypdf import PdfReader

from agents.upkeep import tasks
from models.timestamps import epoch_us, rfc3339
from tests.stores.roads.observations import observation
from tests.web.stored import keep_roads
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import Settings, SettingsError, load_settings
from trafficapp.stores.migrations import migrate
from trafficapp.stores.roads.corridor_queries import insert_corridor
from trafficapp.upkeep.processes import ProgramFailed
from trafficapp.upkeep.scheduled_reports import days_before, make_report

ROME = "Europe/Rome"
#: In Rome it is the day after.
NOW = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)
_TABLES = "corridors, road_observations, roads, sink_offsets"
NAME = "traffic-20260329T0000-20260330T0000.pdf"


@pytest.fixture
async def database(database_url: str) -> str:
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.close()
    return database_url


class Webhook:
    """Takes what is sent, and answers as it is told."""

    def __init__(self) -> None:
        self.status, self.taken = 200, list[tuple[str, bytes]]()

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/pdf"
        self.taken.append((request.headers["Idempotency-Key"], await request.read()))
        return web.Response(status=self.status, headers={"Location": "/elsewhere"})


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[Webhook, str]]:
    hook, application = Webhook(), web.Application()
    application.router.add_post("/hook", hook.take)
    async with TestServer(application, host="127.0.0.1") as server:
        yield hook, str(server.make_url("/hook"))


def settings_of(database_url: str, folder: Path, url: str | None = None, keep: int = 400) -> Settings:
    reports = {"daily": "05:00", "folder": folder, "webhook_url": url, "keep": keep}
    return load_settings(postgres={"url": database_url}, roads={"zone": ROME}, reports=reports)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def made(settings: Settings, days: int = 1) -> str:
    return await make_report(settings, ROME, days, NOW)


@pytest.mark.parametrize(
    ("days", "begin", "hours"),
    [(1, "2026-03-29T00:00:00+01:00", 23), (7, "2026-03-23T00:00:00+01:00", 167)],
    ids=["the day on which clocks go forward", "its week"],
)
def test_a_report_is_on_whole_days_by_the_clocks_of_the_city(days: int, begin: str, hours: int) -> None:
    start, end = days_before(NOW, ROME, days)
    assert (start.isoformat(), end.isoformat()) == (begin, "2026-03-30T00:00:00+02:00")
    assert (end.astimezone(UTC) - start.astimezone(UTC)).total_seconds() == hours * 3600


async def test_it_is_kept_and_sent(database: str, tmp_path: Path, webhook: tuple[Webhook, str]) -> None:
    hook, url = webhook
    folder = tmp_path / "reports"
    said = await made(settings_of(database, folder, url))
    assert said == f"{folder / NAME} written and sent (200)"
    assert hook.taken == [(NAME, (folder / NAME).read_bytes())]
    assert hook.taken[0][1].startswith(b"%PDF")
    assert names_in(folder) == [NAME]


async def test_it_says_of_roads_what_the_report_on_demand_says(database: str, tmp_path: Path) -> None:
    settings = settings_of(database, tmp_path)
    tables = await asyncpg.connect(database)
    await tables.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    edges = city_graph(settings.roads).edge_ids
    begin_us = epoch_us("2026-03-29T06:00:00Z")
    await keep_roads(
        settings,
        *(
            observation(
                "b", timestamp=rfc3339(begin_us + step * 300_000_000), event_id=f"b{step}", road_name="Via b",
                current_speed=10.0 if step >= 12 else 50.0, edges=[(str(edges[0]), 1.0)],
            )
            for step in range(36)
        ),
    )  # fmt: skip
    await insert_corridor(tables, "Ring", None, ["b"])
    await made(settings)
    text = " ".join(" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / NAME).pages)
    for words in ("Corridor Ring", "planning time index", "Bottlenecks", "Via b", "120"):
        assert words in text
    await tables.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    await tables.close()


@pytest.mark.parametrize("status", [500, 302])
async def test_a_webhook_that_does_not_take_it_is_told_and_the_report_is_there(
    database: str, tmp_path: Path, webhook: tuple[Webhook, str], status: int
) -> None:
    hook, url = webhook
    hook.status = status
    with pytest.raises(ProgramFailed, match=f"the webhook answered {status}"):
        await made(settings_of(database, tmp_path, url))
    assert (tmp_path / NAME).is_file()


async def test_what_is_in_the_address_is_told_nobody(database: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as failed:
        await made(settings_of(database, tmp_path, "http://127.0.0.1:9/secret-token"))
    assert "secret-token" not in str(failed.value)
    assert "cannot be reached" in str(failed.value)
    with pytest.raises(SettingsError, match="webhook_url"):
        settings_of(database, tmp_path, "ftp://elsewhere")


async def test_the_oldest_go_first_and_nothing_else(database: str, tmp_path: Path) -> None:
    for name in ("traffic-20260101T0000-20260102T0000.pdf", "traffic-20260301T0000-20260302T0000.pdf", "mine.pdf"):
        (tmp_path / name).write_text("x")
    await made(settings_of(database, tmp_path, keep=2))
    names = ["mine.pdf", "traffic-20260301T0000-20260302T0000.pdf", NAME]
    assert names_in(tmp_path) == names


async def test_the_settings_say_when(database: str, tmp_path: Path) -> None:
    settings = settings_of(database, tmp_path)
    weekly = settings.reports.model_copy(update={"weekly": "mon 05:30"})
    daily, week = tasks(settings.model_copy(update={"reports": weekly}))
    assert (daily.name, daily.times.hour, daily.times.weekday) == ("report_daily", 5, None)
    assert (week.name, week.times.minute, week.times.weekday) == ("report_weekly", 30, 0)
    assert "written" in await daily.work()
    assert len(names_in(tmp_path)) == 1
