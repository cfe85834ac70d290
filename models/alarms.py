"""Alarm management: shapes of ``/api/alarms/...``. An alarm is whatever is told to operators, of any stream."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from models.plain_text import LINE_PATTERN, Name, Title

#: Where an alarm comes from: alerts of cameras and people, notifications about roads, alerts of the city's other feeds.
Stream: TypeAlias = Literal["alert", "notification", "city_alert"]
Priority: TypeAlias = Literal["WARNING", "CRITICAL", "EMERGENCY"]
#: Why operators were not told of an alarm when it was raised; ``held`` ones are told a little later, or folded, or
#: over before: ``short``.
WithheldAs: TypeAlias = Literal["shelved", "suppressed", "folded", "held", "short"]
ShelfKind: TypeAlias = Literal["timed", "one_shot"]
SourceKind: TypeAlias = Literal["camera", "road", "zone", "subject"]

#: Why a person shelves.
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=LINE_PATTERN)]
#: A rule that raises alarms: ``alert_type`` of alerts and notifications.
Rule = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[a-z][a-z0-9_]*$")]


class AlarmLoad(Struct, frozen=True, kw_only=True):
    """How many alarms operators were told, in windows of ten minutes, one of which ends each minute.

    Attributes:
        mean_per_ten_minutes: alarms of the span by its length.
        peak_per_ten_minutes: of the fullest window.
        share_in_flood: of the windows, 0..1. A flood begins with more than 10 alarms in a window and ends with fewer
            than 5 (ISA-18.2).
        in_flood: whether the newest window is in one.
        flood_since: the end of the window that the flood of now began with; null without one.
        newest_ten_minutes: alarms of the newest window.
        per_operator_mean: the mean by the number of operators who acknowledged something in the span; null when
            nobody did.
    """

    mean_per_ten_minutes: float
    peak_per_ten_minutes: int
    share_in_flood: float
    in_flood: bool
    flood_since: str | None
    newest_ten_minutes: int
    per_operator_mean: float | None


class OperatorLoad(Struct, frozen=True, kw_only=True):
    """What an operator has acknowledged.

    Attributes:
        name: that was told when he did.
        acknowledged: alarms of the span.
        per_ten_minutes: the same by the length of the span.
        median_seconds: from an alarm to his acknowledgement.
    """

    name: str
    acknowledged: int
    per_ten_minutes: float
    median_seconds: float


class PriorityShare(Struct, frozen=True, kw_only=True):
    """How many alarms have a priority, and their share of all that were told, 0..1; null without any."""

    priority: Priority
    alarms: int
    share: float | None


class FrequentAlarm(Struct, frozen=True, kw_only=True):
    """A rule and source, how often it was told, and its share of the load, 0..1."""

    stream: Stream
    rule: str
    source: str
    alarms: int
    share: float


class ChatteringAlarm(Struct, frozen=True, kw_only=True):
    """A rule and source that came and went three times within a minute, or oftener.

    Attributes:
        transitions: beginnings and ends of the fullest minute.
        at: when that minute began.
    """

    stream: Stream
    rule: str
    source: str
    transitions: int
    at: str


class StaleAlarm(Struct, frozen=True, kw_only=True):
    """An alarm that has been standing for more than a day at the end of the span."""

    stream: Stream
    alarm_id: str
    rule: str
    source: str
    priority: Priority
    raised_at: str
    hours: float


class TimeToAcknowledge(Struct, frozen=True, kw_only=True):
    """Seconds from an alert to its acknowledgement, of those of the span that somebody has taken on.

    Attributes:
        acknowledged: how many they are.
        unacknowledged: told alerts of the span that nobody has taken on.
        median_seconds, p90_seconds, max_seconds: null when nobody has taken on any.
    """

    acknowledged: int
    unacknowledged: int
    median_seconds: float | None
    p90_seconds: float | None
    max_seconds: float | None


class AlarmPerformance(Struct, frozen=True, kw_only=True):
    """How bearable the alarms of a span were. docs/alarms.md has definitions and sources.

    Attributes:
        since, until: alarms with ``since <= raised < until``.
        raised: all of them, whatever became of them.
        told: those that operators were told of; load, frequencies and priorities are theirs.
        told_by_stream: the same by where they come from.
        shelved, suppressed, folded, short, held: those that they were not told of, by why: short ones were over before
            they were to be told, of those that are held it is not known yet.
        most_frequent: the ten rules and sources that were told most often.
        most_frequent_share: their share of the load, 0..1; at most 0.05 is good. Null without alarms.
        chattering, stale: the worst hundred; ``chattering_count`` and ``stale_count`` are all.
    """

    since: str
    until: str
    raised: int
    told: int
    told_by_stream: dict[Stream, int]
    shelved: int
    suppressed: int
    folded: int
    short: int
    held: int
    load: AlarmLoad
    operators: list[OperatorLoad]
    priorities: list[PriorityShare]
    most_frequent: list[FrequentAlarm]
    most_frequent_share: float | None
    chattering: list[ChatteringAlarm]
    chattering_count: int
    stale: list[StaleAlarm]
    stale_count: int
    time_to_acknowledge: TimeToAcknowledge


class NewShelf(Struct, frozen=True, kw_only=True):
    """What is shelved: either one alert, or what a rule raises of a source.

    Attributes:
        alert_id: of an alert that is open, of cameras or of the city's other feeds.
        rule: such as ``congestion``, as ``alert_type`` has it.
        source_kind: a camera, a road, the cameras that stand in a zone now, or the subject of alerts of the city's
            other feeds: a vehicle, a station, a stop.
        source: the id of the camera, road or subject, the id or name of the zone.
        kind: ``timed`` for `minutes`; ``one_shot`` until the alarm that stands, else the next one, is over, and at
            most for `minutes`.
        minutes: at most as the setting ``alarms.most_shelf_hours`` says; left out, a one-shot shelf lasts so long at
            most. A timed one needs them.
        reason: why; it is shown to everybody.
        admin_id: the name that is told of who shelves; without it the caller's. Who was authenticated is kept beside.
    """

    alert_id: Annotated[str, Meta(min_length=36, max_length=36, pattern="^[0-9a-fA-F-]{36}$")] | None = None
    rule: Rule | None = None
    source_kind: SourceKind | None = None
    source: Name | None = None
    kind: ShelfKind = "timed"
    minutes: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    reason: Reason
    admin_id: Title | None = None


class Shelf(Struct, frozen=True, kw_only=True):
    """A shelf: while it is in force, what it names raises no toast and no notification, and goes on working beneath.

    Attributes:
        camera_ids: of a zone: the cameras that stood in it when it was shelved; null otherwise.
        shelved_by: the name that was told of who shelved.
        caller: who was authenticated.
        shelved_at, expires_at: in force from the one to the other, unless it ends before.
        ended_at: when it ended; null while it is in force.
        ended_because: ``expired``, ``cleared`` (one-shot: its alarm is over) or ``released`` by a person.
        ended_by: who released it; null otherwise.
    """

    id: int
    kind: ShelfKind
    alert_id: str | None
    rule: str | None
    source_kind: SourceKind | None
    source: str | None
    camera_ids: list[str] | None
    reason: str
    shelved_by: str
    caller: str
    shelved_at: str
    expires_at: str
    ended_at: str | None
    ended_because: Literal["expired", "cleared", "released"] | None
    ended_by: str | None


class Withheld(Struct, frozen=True, kw_only=True):
    """Why operators are not told of an alarm.

    Attributes:
        how: ``shelved`` by a person, ``suppressed`` as its camera is out of order, ``folded`` into a congestion event
            or a regional outage, ``held`` for a moment: it may be over in a moment, or turn out to be part of a
            regional outage; ``short``: it was over before people were to be told.
        by: the id of the shelf, of the outage alert, of the event or outage that is told; of what is held or short the
            rule.
        reason: in words.
        until: when a shelf expires, or how long it is held; null otherwise.
    """

    how: WithheldAs
    by: str
    reason: str
    until: str | None = None


class HandoverAlarm(Struct, frozen=True, kw_only=True):
    """An alarm, for whoever takes over.

    Attributes:
        raised_at, cleared_at, acknowledged_at: RFC 3339 UTC; null of what is not so.
        stands: False of a message that is told once.
        withheld: why people are not told of it now, while it stands, else were not when it was raised.
    """

    stream: Stream
    alarm_id: str
    rule: str
    source: str
    priority: Priority
    title: str
    message: str
    raised_at: str
    cleared_at: str | None
    stands: bool
    acknowledged_at: str | None
    acknowledged_by: str | None
    withheld: Withheld | None


class HandoverComment(Struct, frozen=True, kw_only=True):
    """What somebody wrote about an alert."""

    alert_id: str
    alert_title: str | None
    commented_at: str
    commented_by: str
    comment: str


class UnhealthySource(Struct, frozen=True, kw_only=True):
    """A camera that is out of order, or sends nothing; ``rule`` is unhealthy_source or camera_silent."""

    source: str
    rule: str
    since: str
    message: str


class StandingCongestion(Struct, frozen=True, kw_only=True):
    """A congestion event that goes on.

    Attributes:
        road: name or id of the one at its head.
        cause: in words, where it is known.
        camera_ids: registered cameras on it.
    """

    event_id: str
    road: str
    severity: Priority
    state: str
    began_at: str
    length_m: float
    delay_vehicle_hours: float
    cause: str | None
    camera_ids: list[str]


class HandoverCounts(Struct, frozen=True, kw_only=True):
    """Of the span: alarms raised, acknowledged and cleared; of those raised, why operators were not told of some.

    Attributes:
        short: alerts that were over before they were alarms; they are in no other count and in no list.
    """

    open: int
    raised: int
    acknowledged: int
    cleared: int
    shelved: int
    suppressed: int
    folded: int
    short: int
    held: int
    comments: int


class Handover(Struct, frozen=True, kw_only=True):
    """What whoever takes over a shift has to know.

    Attributes:
        since, until: the shift; until is now.
        counts: of everything, also of what the lists are too short for.
        open: what stands now, the most severe first, then the oldest.
        raised, acknowledged, cleared: in the shift, the newest first.
        withheld: raised in the shift, and operators were not told: shelved, suppressed, folded, held; likewise.
        shelves: in force at some time of the shift, the oldest first; those in force now have no ``ended_at``.
        comments: written in the shift, the oldest first.
        unhealthy: sources that are out of order or silent now.
        congestion: events that go on, the longest first.
        most_listed: no list is longer.
    """

    since: str
    until: str
    counts: HandoverCounts
    open: list[HandoverAlarm]
    raised: list[HandoverAlarm]
    acknowledged: list[HandoverAlarm]
    cleared: list[HandoverAlarm]
    withheld: list[HandoverAlarm]
    shelves: list[Shelf]
    comments: list[HandoverComment]
    unhealthy: list[UnhealthySource]
    congestion: list[StandingCongestion]
    most_listed: int
