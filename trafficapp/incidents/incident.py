"""What is remembered of one incident: what its reports claim, how far it is, and when each step happened.

Times in ``…_us`` are of the broker, by which steps and durations are told; ``first_us`` and ``last_us`` are event time,
by which reports are merged; ``…_clock_us`` are of the partition's clock, by which silence is measured.
"""

from __future__ import annotations

from msgspec import Struct, field

from models.incidents.current import EmergencyStatus, Incident
from models.incidents.kinds import OPEN_STATES, RANK, Kind, Lifecycle, SeverityClass, Source
from models.timestamps import rfc3339
from trafficapp.incidents.severity import Severities

_STATUS: dict[Lifecycle, EmergencyStatus] = {
    **{"reported": "active", "verified": "active", "responding": "responding"},
    **{"cleared": "resolved", "normal": "resolved", "rejected": "resolved"},
}

#: What was not said by a desk, nor confirmed.
_DOUBTFUL = "?"


class AlertMemory(Struct):
    """The alert about an incident that is open, or was told last."""

    opened_us: int
    revision: int
    severity_class: SeverityClass
    is_open: bool = True


class SourceMemory(Struct, array_like=True):
    """What a source said of one of its incidents.

    Attributes:
        incident_id: the incident that it is of.
        time_us: event time of the newest of its reports.
        kind, level: what that claims.
        trusted: whether it is of a desk.
        resolved: whether it says that the incident is over.
        generation: the incident's when that was claimed; a claim of an earlier one counts no more.
        touched: the higher the later it was heard.
        recent: ids of its newest reports, by which repeats are known.
    """

    incident_id: str
    time_us: int
    kind: Kind
    level: int
    trusted: bool
    resolved: bool
    generation: int
    touched: int
    recent: list[str]


class IncidentMemory(Struct, kw_only=True, omit_defaults=True):
    """One incident.

    Attributes:
        number: in the order in which they were opened.
        group: of kinds that are merged with it.
        owner: the key of the source that opened it, whose newer reports may move it.
        claims: how many sources claim which kind and severity, ``kind:level``; doubtful ones begin with ``?``.
        words: of each kind that was claimed, as the source wrote it.
        going_on: incidents of the emergency desk that it is made of, and that are not resolved.
        verified: whether it is, now; one that a citizen reopens is not, until it is confirmed again.
        found_level: what an operator found it to be, 1 to 5, whatever is claimed.
        generation: how often reports opened it again: what was claimed before counts no more.
        touched: the higher the later it was heard.
        is_placed: whether reports near it are found to be of it.
        acted: ids of the newest actions, by which repeats are known.
        closed_clock_us: since when it is cleared, normal or rejected.
    """

    incident_id: str
    number: int
    group: str
    owner: str
    lat: float
    lon: float
    first_us: int
    last_us: int
    reported_us: int
    updated_us: int
    heard_clock_us: int
    told_clock_us: int
    heading: float | None = None
    description: str = ""
    claims: dict[str, int] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    kind: Kind = "other"
    level: int = 1
    found_level: int | None = None
    closes: bool = False
    severity_class: SeverityClass = "low"
    is_emergency: bool = False
    going_on: int = 0
    reports: int = 0
    sources: list[Source] = field(default_factory=list)
    state: Lifecycle = "reported"
    verified: bool = False
    verified_us: int | None = None
    verified_by: str | None = None
    responding_us: int | None = None
    cleared_us: int | None = None
    cleared_by: str | None = None
    normal_us: int | None = None
    rejected_us: int | None = None
    closed_clock_us: int = 0
    reopened: int = 0
    generation: int = 0
    touched: int = 0
    is_placed: bool = True
    units: list[str] = field(default_factory=list)
    acted: list[str] = field(default_factory=list)
    revision: int = -1
    alert: AlertMemory | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still going on."""
        return self.state in OPEN_STATES

    @property
    def can_be_reopened(self) -> bool:
        """Whether it was going on before it was over: not so one whose only report says that it is."""
        return self.verified or self.cleared_us != self.reported_us

    # ------------------------------------------------------------------ what is claimed

    def claim(self, kind: Kind, level: int, trusted: bool) -> None:
        """Take a source's claim in."""
        name = _name(kind, level, trusted)
        self.claims[name] = self.claims.get(name, 0) + 1

    def withdraw(self, source: SourceMemory) -> None:
        """Take a source's claim back, if it still counts."""
        if source.resolved or source.generation != self.generation:
            return
        names = [_name(source.kind, source.level, source.trusted), _name(source.kind, source.level, True)]
        for name in names:
            # what was doubtful may have been confirmed
            if left := self.claims.get(name, 0):
                if left > 1:
                    self.claims[name] = left - 1
                else:
                    del self.claims[name]
                return

    def confirm_claims(self) -> None:
        """What was doubtful is true."""
        for name in [name for name in self.claims if name.startswith(_DOUBTFUL)]:
            sure = name.removeprefix(_DOUBTFUL)
            self.claims[sure] = self.claims.get(sure, 0) + self.claims.pop(name)

    def weigh(self, severities: Severities) -> None:
        """Draw from the claims what it is and how bad: doubtful ones count only where there are no others."""
        claims = self.claims
        if len(claims) == 1:
            (name,) = claims
            kind, _, level = name.removeprefix(_DOUBTFUL).partition(":")
            self.kind, self.closes = kind, kind == "road_closure"  # type: ignore[assignment]
            self.level = self.found_level or int(level)
        elif claims:
            names = [name for name in claims if not name.startswith(_DOUBTFUL)] or list(claims)
            split = [name.removeprefix(_DOUBTFUL).split(":") for name in names]
            kinds: list[Kind] = [kind for kind, _ in split]  # type: ignore[misc]
            self.kind = min(kinds, key=RANK.__getitem__)
            self.level = self.found_level or max(int(level) for _, level in split)
            self.closes = "road_closure" in kinds
        else:
            return
        self.severity_class = severities.class_of(self.level)
        self.is_emergency = self.is_emergency or (self.verified and self.severity_class == "critical")

    # ------------------------------------------------------------------ its document

    def document(self) -> Incident:
        """As it is told."""
        first_us, reported_us, verified_us, cleared_us = (
            self.first_us,
            self.reported_us,
            self.verified_us,
            self.cleared_us,
        )
        reported_at = rfc3339(reported_us)
        timestamp = rfc3339(first_us)
        return Incident(
            incident_id=self.incident_id,
            revision=self.revision,
            incident_type=self.words.get(self.kind, self.kind),
            kind=self.kind,
            severity=self.severity_class,
            severity_level=self.level,
            closed=self.closes,
            is_emergency=self.is_emergency,
            latitude=self.lat,
            longitude=self.lon,
            heading=self.heading,
            description=self.description,
            state=self.state,
            status=_STATUS[self.state],
            timestamp=timestamp,
            last_event_at=timestamp if self.last_us == first_us else rfc3339(self.last_us),
            reports=self.reports,
            sources=self.sources,
            reported_at=reported_at,
            verified_at=reported_at if verified_us == reported_us else _told(verified_us),
            responding_at=_told(self.responding_us),
            cleared_at=_told(cleared_us),
            normal_at=_told(self.normal_us),
            rejected_at=_told(self.rejected_us),
            verified_by=self.verified_by,
            cleared_by=self.cleared_by,
            reopened=self.reopened,
            units=self.units,
            detection_seconds=_between(first_us, reported_us),
            verification_seconds=_between(reported_us, verified_us),
            response_seconds=_between(verified_us, self.responding_us),
            clearance_seconds=_between(reported_us, cleared_us),
            recovery_seconds=_between(cleared_us, self.normal_us),
            updated_at=reported_at if self.updated_us == reported_us else rfc3339(self.updated_us),
        )


def _name(kind: Kind, level: int, trusted: bool) -> str:
    return f"{kind}:{level}" if trusted else f"{_DOUBTFUL}{kind}:{level}"


def _told(time_us: int | None) -> str | None:
    return None if time_us is None else rfc3339(time_us)


def _between(begin_us: int | None, end_us: int | None) -> float | None:
    """Seconds from one time to a later one."""
    if begin_us is None or end_us is None or end_us < begin_us:
        return None
    return (end_us - begin_us) / 1e6
