"""Spans of time that a query asks for: half-open, ``to`` is now unless given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import msgspec
from msgspec import Struct

from models.timestamps import epoch_us, rfc3339
from web.serving.problems import ProblemError
from web.serving.shapes import Moment


@dataclass(frozen=True, slots=True)
class Span:
    """Times in ``[since, until)``, both aware."""

    since: datetime
    until: datetime

    def pinned(self) -> dict[str, str]:
        """The span as query parameters: the next page asks for the same, although "now" has moved on."""
        return {"from": rfc3339(epoch_us(self.since)), "to": rfc3339(epoch_us(self.until))}


class SpanQuery(Struct, frozen=True, kw_only=True):
    """What lies in ``[from, to)``: without ``to`` until now; without ``from`` the view says how long it is."""

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None

    def span(self, default: timedelta) -> Span:
        """The span; without ``from`` it is `default` long.

        Raises:
            ProblemError: 400, the span is empty, or begins before all time.
        """
        return span_between(self.from_, self.to, default)


def span_between(from_: Moment | None, to: Moment | None, default: timedelta) -> Span:
    """The span of the parameters ``from`` and ``to``; without ``from`` it is `default` long.

    Raises:
        ProblemError: 400, the span is empty, or begins before all time.
    """
    until = datetime.now(UTC) if to is None else to.time
    try:
        since = until - default if from_ is None else from_.time
    except OverflowError:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "to lies before the first time that can be asked for") from None
    span = Span(since, until)
    if since >= until:
        text = span.pinned()
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"from ({text['from']}) must be before to ({text['to']})")
    return span
