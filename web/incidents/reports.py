"""``POST /api/incidents/report``: what citizens see."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.cameras.detections import Rejected
from models.incidents.kinds import Kind, Level
from models.incidents.messages import CitizenReport
from models.incidents.requests import ReportAccepted
from models.timestamps import epoch_us, rfc3339
from trafficapp.feeds.places import check_place
from trafficapp.incidents.feeds import CITIZEN_REPORTS
from trafficapp.settings import LimitSettings, Settings
from web.auth.access import caller_of
from web.incidents.publishing import publish
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.limits import LIMITER, RateLimiter
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Message

#: Clocks of callers differ.
_AHEAD_US = 60_000_000


class NewReport(Struct, frozen=True, kw_only=True):
    """What somebody saw.

    Attributes:
        incident_type: what it is.
        latitude: where, degrees WGS 84.
        longitude: likewise.
        description: in a few words.
        severity: 1 to 5; left out, it follows from the type.
        timestamp: when it was seen, ISO 8601 or epoch seconds or milliseconds; now, unless told.
        heading: of the traffic that it is in the way of, degrees from north; both directions, unless told.
    """

    incident_type: Kind
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    description: Message = ""
    severity: Level | None = None
    timestamp: str | int | float | None = None
    heading: Annotated[float, Meta(ge=0, le=360)] | None = None


class Reports:
    """The view.

    Args:
        settings: of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._bounds, self._incidents = settings.city.bounds, settings.incidents
        limits = LimitSettings(
            requests_per_second=self._incidents.reports_per_minute / 60,
            burst=self._incidents.reports_burst,
            trusted_proxies=settings.limits.trusted_proxies,
        )
        self._limiter = RateLimiter(limits)

    async def report(self, request: web.Request, body: NewReport) -> web.Response:
        """Report an incident.

        It is unverified, and does nothing to roads, until an operator confirms it or a desk reports the same. Reports
        within 200 m and 10 minutes of each other are one incident. 202: it is safe in `citizen_reports`, and shown
        within seconds. 422: a place outside the city, a time ahead or too long ago. 429: a caller may report a few
        times a minute. After 503 it may still come; sent again, it is of the same incident.
        """
        now_us = epoch_us(datetime.now(UTC))
        time_us = now_us if body.timestamp is None else self._seen_us(body.timestamp, now_us)
        try:
            check_place(body.latitude, body.longitude, self._bounds)
        except Rejected as error:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail) from None
        self._spend(request)
        report = CitizenReport(
            report_id=str(uuid.uuid4()),
            incident_type=body.incident_type,
            latitude=body.latitude,
            longitude=body.longitude,
            timestamp=rfc3339(time_us),
            severity=body.severity,
            description=body.description or None,
            heading=body.heading,
        )
        outbox = request.app[CONTEXT].outbox
        assert outbox is not None  # noqa: S101 - the context has made one
        await publish(outbox, CITIZEN_REPORTS, report.report_id.encode(), msgspec.json.encode(report))
        accepted = ReportAccepted(
            report_id=report.report_id, incident_type=report.incident_type, timestamp=rfc3339(time_us)
        )
        return json_answer(msgspec.json.encode(accepted), status=HTTPStatus.ACCEPTED)

    def _seen_us(self, told: str | float, now_us: int) -> int:
        """When it was seen.

        Raises:
            ProblemError: 422.
        """
        try:
            time_us = epoch_us(told)
        except (ValueError, OverflowError):
            detail = f"timestamp {str(told)[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail) from None
        if time_us - now_us > _AHEAD_US:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"timestamp {rfc3339(time_us)} is ahead of now")
        minutes = self._incidents.report_late_minutes
        if now_us - time_us > minutes * 60e6:
            detail = f"timestamp {rfc3339(time_us)} is more than {minutes:g} minutes ago"
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
        return min(time_us, now_us)

    def _spend(self, request: web.Request) -> None:
        """Count a report of a caller.

        Raises:
            ProblemError: 429.
        """
        caller = caller_of(request)
        try:
            self._limiter.spend(request.config_dict[LIMITER].client(request, caller))
        except ProblemError as error:
            seconds = error.headers[hdrs.RETRY_AFTER]
            detail = f"more than {self._incidents.reports_per_minute:g} reports a minute; try again in {seconds} s"
            raise ProblemError(error.status, detail, error.headers) from None

    def operations(self) -> list[Operation]:
        """What this module answers."""
        return [
            Operation(
                "POST /api/incidents/report",
                self.report,
                Tag.INCIDENTS,
                ReportAccepted,
                status=HTTPStatus.ACCEPTED,
                errors=(422, 429, 503),
            )
        ]
