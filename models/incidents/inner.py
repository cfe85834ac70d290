"""What the rules of incidents are given: one form for all who report, and one for what operators do."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from models.incidents.kinds import ActionWord, Kind, Source


class Report(Struct, frozen=True, kw_only=True, tag="report", omit_defaults=True):
    """A report.

    Attributes:
        source: who reports.
        source_id: what the source calls the incident.
        message_id: what it calls the message, empty where it does not.
        time_us: when it happened, as the source says, microseconds since the epoch.
        lat: degrees WGS 84.
        lon: likewise.
        word: what it is, in the words of the source.
        kind: the same in ours.
        level: 1 to 5; None when the source does not say.
        resolved: whether it says that the incident is over.
        description: for people.
        heading: of the traffic that it is in the way of, degrees.
    """

    source: Source
    source_id: str
    time_us: int
    lat: float
    lon: float
    word: str
    kind: Kind
    message_id: str = ""
    level: int | None = None
    resolved: bool = False
    description: str = ""
    heading: float | None = None


class Action(Struct, frozen=True, kw_only=True, tag="action", omit_defaults=True):
    """What an operator did, see `models.incidents.messages.OperatorAction`."""

    action_id: str
    incident_id: str
    action: ActionWord
    by: str
    level: int | None = None
    unit_id: str | None = None


InnerMessage: TypeAlias = Report | Action
