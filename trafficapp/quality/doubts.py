"""What rules hold against a source, and since when; what is told of one that they speak against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from models.city_alerts import CityAlert, alert_id_of
from models.quality.sources import Reason
from models.timestamps import rfc3339

UNHEALTHY_SOURCE = "unhealthy_source"


class Doubt(Struct, array_like=True, frozen=True, gc=False):
    """A rule that speaks against a source: since when, the newest sign of it, and its numbers."""

    since_us: int
    seen_us: int
    evidence: str


class Doubted(Protocol):
    """What is remembered of a source, as far as it is judged.

    Attributes:
        healthy_since_us: since when nothing speaks against it.
        doubts: by reason.
        hour: number of the hour that is being counted.
        counts: of this hour and of the one before: what came, what of it was without doubt, what in time.
    """

    healthy_since_us: int
    doubts: dict[Reason, Doubt]
    hour: int
    counts: tuple[int, int, int]
    counts_before: tuple[int, int, int]


def first_reason(source: Doubted, order: Sequence[Reason]) -> Reason | None:
    """The first of some reasons that speaks against a source."""
    return next((reason for reason in order if reason in source.doubts), None)


def doubt(
    source: Doubted,
    at_us: int,
    signs: Mapping[Reason, str],
    order: Sequence[Reason],
    is_calm: Callable[[Doubt, Reason], bool],
) -> bool:
    """Take signs in; whether the first reason is another one then.

    Args:
        source: changed in place.
        at_us: when the signs were seen.
        signs: evidence by reason.
        order: of reasons.
        is_calm: whether a doubt of which there is no sign any more is over.
    """
    before = first_reason(source, order)
    for reason, known in list(source.doubts.items()):
        if reason not in signs and is_calm(known, reason):
            del source.doubts[reason]
    for reason, evidence in signs.items():
        earlier = source.doubts.get(reason)
        source.doubts[reason] = Doubt(at_us if earlier is None else earlier.since_us, at_us, evidence)
    after = first_reason(source, order)
    if before is not None and after is None:
        source.healthy_since_us = at_us
    return before != after


def count_by(source: Doubted, hour: int) -> None:
    """Count in this hour from now on; what was counted in the one before it is kept."""
    if hour != source.hour:
        source.counts_before = source.counts if hour == source.hour + 1 else (0, 0, 0)
        source.hour, source.counts = hour, (0, 0, 0)


def source_alert(
    subject: str, kind: str, source_id: str, message: str, *, opened_us: int, at_us: int, is_over: bool
) -> CityAlert:
    """The begin or the end of an alert that a source is out of order, times in microseconds since the epoch."""
    at, opened = rfc3339(at_us), rfc3339(opened_us)
    return CityAlert(
        alert_id=alert_id_of(UNHEALTHY_SOURCE, subject, opened_us),
        revision=int(is_over),
        alert_type=UNHEALTHY_SOURCE,
        state="resolved" if is_over else "opened",
        severity="WARNING",
        subject=subject,
        title=f"{kind.capitalize()} out of order",
        message=f"{kind} {source_id}: {message}",
        timestamp=at if is_over else opened,
        opened_at=opened,
        resolved_at=at if is_over else None,
    )
