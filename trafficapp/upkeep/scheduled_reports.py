"""Reports that are made by the clock: into a folder, and to a webhook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

import aiohttp

from trafficapp.analytics.local_hours import slot_minutes, time_zone
from trafficapp.measures.lanes import lane_figures
from trafficapp.reports.of_range import file_name, report_of
from trafficapp.reports.rendering import ReportFailed, render
from trafficapp.settings import Settings
from trafficapp.settings.reports import ReportSettings
from trafficapp.stores.cameras.analytics_queries import range_sums
from trafficapp.stores.cameras.day_sums import DaysInMemory
from trafficapp.stores.cameras.scores import roads_of_cameras
from trafficapp.stores.measures.lane_queries import lane_sums
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.roads.report_pages import report_pages
from trafficapp.upkeep.processes import ProgramFailed

_WRITING = ".writing-"
_SEND_WITHIN_SECONDS = 60


async def make_report(settings: Settings, zone: str, days: int, now: datetime | None = None) -> str:
    """Make the report on the days before today, by the clocks of a city, and put it where the settings say.

    A report that is made again takes the place of the one before. It is sent again then, under the same name.

    Args:
        settings: where the history is, and where the report goes.
        zone: of the city's clocks.
        days: how many it is on.
        now: aware; now unless given.

    Returns:
        a line that says what was done.

    Raises:
        ProgramFailed: it cannot be printed, or the webhook did not take it; the message says why.
        OSError: the folder cannot be written, or nobody answers.
        asyncpg.PostgresError: Postgres cannot be asked.
    """
    start, end = days_before(now or datetime.now(UTC), zone, days)
    document = await _document(settings, zone, start, end)
    name = file_name(start, end)
    path = await asyncio.to_thread(_keep, settings.reports, name, document)
    if settings.reports.webhook_url is None:
        return f"{path} written"
    status = await _send(settings.reports.webhook_url.get_secret_value(), name, document)
    return f"{path} written and sent ({status})"


def days_before(now: datetime, zone: str, days: int) -> tuple[datetime, datetime]:
    """The whole days before today, by the clocks of a zone: their begin and their end, in it."""
    clock = time_zone(zone)
    today = now.astimezone(clock).date()
    first = today - timedelta(days=days)
    begin, end = (datetime(day.year, day.month, day.day, tzinfo=clock) for day in (first, today))
    return begin, end


async def _document(settings: Settings, zone: str, start: datetime, end: datetime) -> bytes:
    clock = time_zone(zone)
    begin, until = start.astimezone(UTC), end.astimezone(UTC)
    async with create_pool(settings.postgres) as pool:
        answer = await range_sums(pool, DaysInMemory(), begin, until, slot_minutes(clock, begin, until))
        segments = await roads_of_cameras(pool)
        lanes = await lane_sums(pool, begin, until)
        pages = await report_pages(pool, settings.roads, settings.jams, begin, until, zone)
    report = await asyncio.to_thread(
        report_of,
        answer.sums,
        clock,
        tz=zone,
        zone=None,
        segment=segments.get,
        generated_at=datetime.now(UTC),
        lanes=[lane_figures(sums) for sums in lanes],
        surfaces=pages.surfaces,
        reliability=pages.reliability,
        bottlenecks=pages.bottlenecks,
    )
    try:
        return await render(report)
    except ReportFailed as error:
        raise ProgramFailed(f"the report was not made: {error}") from None


def _keep(settings: ReportSettings, name: str, document: bytes) -> Path:
    """Put the whole report in its place, and let go of the oldest."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    with _written(folder, document) as writing:
        writing.replace(path)
    for old in sorted(folder.glob("traffic-*.pdf"))[: -settings.keep]:
        old.unlink(missing_ok=True)
    return path


@contextmanager
def _written(folder: Path, content: bytes) -> Iterator[Path]:
    """A new file with a content, on the disk for certain; removed again where nobody moves it."""
    with NamedTemporaryFile(dir=folder, prefix=_WRITING, delete=False) as file:
        path = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)


async def _send(url: str, name: str, document: bytes) -> int:
    """Send a report; who takes it may tell by the name that he has it."""
    headers = {
        "Content-Type": "application/pdf",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Idempotency-Key": name,
    }
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SEND_WITHIN_SECONDS)) as session,
            session.post(url, data=document, headers=headers, allow_redirects=False) as answer,
        ):
            if not 200 <= answer.status < 300:
                raise ProgramFailed(f"the report was made, and the webhook answered {answer.status}")
            return answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        # the address may hold a secret
        raise ProgramFailed(f"the report was made, and the webhook cannot be reached: {type(error).__name__}") from None
