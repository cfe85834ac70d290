"""``/api/analytics``: figures of any range of time, two ranges side by side, the hours of a range, a report."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, tzinfo
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.cameras.analytics import AnalyticsComparison, AnalyticsMetrics, TrendHour, encode_analytics
from models.cameras.lanes import LaneFigures
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics import figures
from trafficapp.analytics.local_hours import UnknownZone, is_between_hours, slot_minutes, time_zone
from trafficapp.measures.lanes import lane_figures
from trafficapp.reports.of_range import file_name, report_of
from trafficapp.reports.rendering import ReportFailed, render
from trafficapp.stores.cameras.analytics_queries import Answer, range_sums
from trafficapp.stores.cameras.day_sums import DaysInMemory
from trafficapp.stores.measures.lane_queries import lane_sums
from web.guards.costs import client_of, rows_within
from web.roads.reliability import pages_of
from web.serving.answers import json_answer
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.parameters import LARGEST_ID
from web.serving.problems import ProblemError, unavailable
from web.serving.shapes import Moment, Name

DEFAULT_SPAN = timedelta(hours=24)
MAX_SPAN = timedelta(days=400)
_A_DAY = timedelta(days=1)
#: Hours between hour and half-hour zones are sorted minute by minute, which takes its time.
ANSWER_WITHIN_SECONDS = 60.0

_AGE = ((hdrs.AGE, "Seconds ago that the whole hours of the range were known to be so; 2 at most."),)


class WhereQuery(Struct, frozen=True, kw_only=True):
    """``tz`` is an IANA time zone, ``zone`` the id or name of a zone that chooses cameras."""

    tz: Name = "UTC"
    zone: Name | None = None


class RangeQuery(WhereQuery, frozen=True, kw_only=True):
    """``[start, end)``, or ``from`` and ``to``: without an end now, without a start 24 hours before the end."""

    start: Moment | None = None
    end: Moment | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None


class ReportQuery(RangeQuery, frozen=True, kw_only=True):
    """The same; ``corridor`` is the id of one."""

    corridor: Annotated[int, Meta(ge=1, le=LARGEST_ID)] | None = None


class ComparisonQuery(WhereQuery, frozen=True, kw_only=True):
    """Two ranges; ``aFrom``, ``aTo``, ``bFrom`` and ``bTo`` are other words for the four times."""

    start_a: Moment | None = None
    end_a: Moment | None = None
    start_b: Moment | None = None
    end_b: Moment | None = None
    a_from: Moment | None = msgspec.field(default=None, name="aFrom")
    a_to: Moment | None = msgspec.field(default=None, name="aTo")
    b_from: Moment | None = msgspec.field(default=None, name="bFrom")
    b_to: Moment | None = msgspec.field(default=None, name="bTo")


class Analytics:
    """The views; they share what the process has in memory."""

    def __init__(self) -> None:
        self._memory = DaysInMemory()

    async def metrics(self, request: web.Request, query: RangeQuery) -> web.Response:
        """Figures of a range of time.

        Exact for any range of at most 400 days; hours of the day are those of `tz`; those without windows are left out.
        What has two names is the same under both.
        """
        context, clock = request.app[CONTEXT], _clock(query.tz)
        answer = await self._sums(context, *_range(query), clock, query.zone)
        return _answered(await asyncio.to_thread(figures.metrics, answer.sums, clock, context.registry.segment), answer)

    async def compare(self, request: web.Request, query: ComparisonQuery) -> web.Response:
        """Figures of two ranges of time, and what the second has more than the first."""
        context, clock = request.app[CONTEXT], _clock(query.tz)
        a, b = [await self._sums(context, *one, clock, query.zone) for one in _ranges(query)]
        segment = context.registry.segment
        return _answered(await asyncio.to_thread(figures.comparison, a.sums, b.sums, clock, segment), a, b)

    async def trends(self, request: web.Request, query: RangeQuery) -> web.Response:
        """Every hour of a range of time."""
        context, clock = request.app[CONTEXT], _clock(query.tz)
        answer = await self._sums(context, *_range(query), clock, query.zone)
        return _answered(await asyncio.to_thread(figures.trends, answer.sums, clock), answer)

    async def report(self, request: web.Request, query: ReportQuery) -> web.Response:
        """A report on a range of time, to print.

        With percentile speeds and flows of cameras, bottlenecks (of ranges of at most 31 days), and speed surfaces and
        reliability of corridors: of the one that `corridor` names, or of the first three.
        """
        context, clock = request.app[CONTEXT], _clock(query.tz)
        answer = await self._sums(context, *_range(query), clock, query.zone)
        start, end = _range(query)
        lanes = await _lanes(context, start, end, query.zone)
        pages = await pages_of(context, start, end, query.tz, query.corridor)
        report = await asyncio.to_thread(
            report_of,
            answer.sums,
            clock,
            tz=query.tz,
            zone=query.zone,
            segment=context.registry.segment,
            generated_at=datetime.now(UTC),
            lanes=lanes,
            surfaces=pages.surfaces,
            reliability=pages.reliability,
            bottlenecks=pages.bottlenecks,
        )
        try:
            async with context.costs.reports.turn(client_of(request)):
                document = await render(report)
        except ReportFailed as error:
            raise unavailable(f"The printer of reports ({error})", retry_after_seconds=10) from error
        name = file_name(answer.sums.start, answer.sums.end)
        headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"', hdrs.AGE: _age(answer)}
        return web.Response(body=document, content_type="application/pdf", headers=headers)

    async def _sums(
        self, context: WebContext, start: datetime, end: datetime, clock: tzinfo, zone: str | None
    ) -> Answer:
        await context.registry.need()
        cameras = await context.registry.choose(zone)
        try:
            minutes = await asyncio.to_thread(_slot_minutes, context, clock, start, end)
            return await context.costly.ask(
                lambda pool: range_sums(pool, self._memory, start, end, minutes, cameras), ANSWER_WITHIN_SECONDS
            )
        except OverflowError:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "the range ends beyond what a calendar holds") from None


def _slot_minutes(context: WebContext, clock: tzinfo, start: datetime, end: datetime) -> int:
    """How fine sums must be for the hours of a clock, where anything can be stored: clocks of long ago were odd."""
    oldest = datetime.now(UTC) - timedelta(days=context.settings.retention.rollup_days) - _A_DAY
    return slot_minutes(clock, max(start, oldest), end) if end > oldest else 60


async def _lanes(context: WebContext, start: datetime, end: datetime, zone: str | None) -> list[LaneFigures]:
    """Percentile speeds and flows of the cameras of a zone, or of all."""
    inside = await context.registry.choose(zone)
    chosen = None if inside is None else sorted(inside)
    found = await context.costly.ask(lambda pool: lane_sums(pool, start, end, chosen), ANSWER_WITHIN_SECONDS)
    return [lane_figures(sums) for sums in found]


def _rows_of(context: WebContext, start: datetime, end: datetime, clock: tzinfo) -> float:
    """Rows of a range: an hour of each camera, or each minute of it where clocks are between the hours."""
    cameras = len(context.registry.cameras)
    hours = rows_within(start, end, timedelta(hours=1), cameras)
    if not is_between_hours(clock, start, end):
        return hours
    kept = timedelta(days=context.settings.retention.metrics_days)
    return hours + rows_within(max(start, end - kept), end, timedelta(minutes=1), cameras)


def _price(context: WebContext, query: RangeQuery) -> float:
    return _rows_of(context, *_range(query), _clock(query.tz))


def _price_of_both(context: WebContext, query: ComparisonQuery) -> float:
    return sum(_rows_of(context, *one, _clock(query.tz)) for one in _ranges(query))


def _clock(name: str) -> tzinfo:
    try:
        return time_zone(name)
    except UnknownZone as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _range(query: RangeQuery) -> tuple[datetime, datetime]:
    start = _either(query.start, query.from_, "start and from")
    end = _either(query.end, query.to, "end and to") or datetime.now(UTC)
    try:
        return _checked(start or end - DEFAULT_SPAN, end, "start", "end")
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "end lies before the first time that can be asked for") from None


def _ranges(query: ComparisonQuery) -> list[tuple[datetime, datetime]]:
    times: dict[str, datetime] = {}
    for name, one, other in (
        ("start_a", query.start_a, query.a_from),
        ("end_a", query.end_a, query.a_to),
        ("start_b", query.start_b, query.b_from),
        ("end_b", query.end_b, query.b_to),
    ):
        other_name = f"{name[-1]}{'From' if name.startswith('start') else 'To'}"
        time = _either(one, other, f"{name} and {other_name}")
        if time is None:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"{name} (or {other_name}) is needed")
        times[name] = time
    return [_checked(times[f"start_{side}"], times[f"end_{side}"], f"start_{side}", f"end_{side}") for side in "ab"]


def _either(one: Moment | None, other: Moment | None, names: str) -> datetime | None:
    if one is not None and other is not None and one.time != other.time:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{names} mean the same and may not differ")
    found = one or other
    return None if found is None else found.time


def _checked(start: datetime, end: datetime, start_name: str, end_name: str) -> tuple[datetime, datetime]:
    if start >= end:
        text = f"{start_name} ({rfc3339(epoch_us(start))}) must be before {end_name} ({rfc3339(epoch_us(end))})"
        raise ProblemError(HTTPStatus.BAD_REQUEST, text)
    if end - start > MAX_SPAN:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, f"from {start_name} to {end_name} may be {MAX_SPAN.days} days at most"
        )
    return start, end


def _answered(body: object, *answers: Answer) -> web.Response:
    return json_answer(encode_analytics(body), {hdrs.AGE: str(max(int(_age(answer)) for answer in answers))})


def _age(answer: Answer) -> str:
    return str(int(answer.age_seconds))


def operations() -> list[Operation]:
    """What this module answers."""
    views = Analytics()
    return [
        Operation(
            "GET /api/analytics/metrics",
            views.metrics,
            Tag.ANALYTICS,
            AnalyticsMetrics,
            errors=(404,),
            headers=_AGE,
            price=_price,
            apart=True,
        ),
        Operation(
            "GET /api/analytics/compare",
            views.compare,
            Tag.ANALYTICS,
            AnalyticsComparison,
            errors=(404,),
            headers=_AGE,
            price=_price_of_both,
            apart=True,
        ),
        Operation(
            "GET /api/analytics/trends",
            views.trends,
            Tag.ANALYTICS,
            list[TrendHour],
            errors=(404,),
            headers=_AGE,
            price=_price,
            apart=True,
        ),
        Operation(
            "GET /api/analytics/report/pdf",
            views.report,
            Tag.ANALYTICS,
            content_type="application/pdf",
            errors=(404,),
            headers=_AGE,
            price=_price,
            apart=True,
        ),
    ]
