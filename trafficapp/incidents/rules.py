"""All incidents of a city, as a pure function of reports, of what operators did, and of a clock.

A report is of the incident that its source said it was of before. Else it is of the nearest open one within 200 m whose
reports lie within 10 minutes of it in event time, or of the nearest one within 200 m that was cleared within the last
300 s, which is then open again. Else it opens one. Incidents that nobody clears are over after a while by their kind.

What is told and remembered follows from the messages in their order: the same ones give the same incidents, with the
same ids. No message costs more because there are more incidents.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from models.incidents.current import IncidentReport, ReportEffect
from models.incidents.inner import Action, InnerMessage, Report
from models.incidents.kinds import POSSIBLE_IN, group_of
from models.timestamps import rfc3339
from trafficapp.feeds.rules import Told, When
from trafficapp.incidents.incident import IncidentMemory, SourceMemory
from trafficapp.incidents.known import KnownIncidents
from trafficapp.incidents.severity import Severities
from trafficapp.incidents.topics import ALERTS, INCIDENTS, REPORTS
from trafficapp.incidents.wording import step_of_alert
from trafficapp.settings import IncidentSettings

#: An open incident is told again after so long, since what is current in Redis expires.
TELL_AGAIN_SECONDS = 3600
#: Reports of one incident of a source by which repeats are known.
_RECENT = 8

_NAMESPACE = uuid.UUID("0d1a7c1e-9a52-5d0e-8c1d-6f2b7b6d1c13")
_EXPIRY = "expiry"

_encode = msgspec.json.Encoder().encode


class IncidentRules:
    """The incidents of a partition.

    Args:
        settings: of incidents.
        rows: what was to be remembered, by key.
    """

    def __init__(self, settings: IncidentSettings, rows: Mapping[bytes, bytes] | None = None) -> None:
        self._severities = Severities(settings)
        self._merge_us = round(settings.merge_seconds * 1e6)
        self._reopen_us = round(settings.reopen_seconds * 1e6)
        self._unverified_us = round(settings.unverified_minutes * 60e6)
        self._remember_us = round(settings.remember_minutes * 60e6)
        self._tell_again_us = TELL_AGAIN_SECONDS * 1_000_000
        self._told: list[Told] = []
        self._known = KnownIncidents(settings.merge_metres, settings.max_incidents, self._due_us, rows or {})

    # ------------------------------------------------------------------ what the rules are asked

    def apply(self, message: InnerMessage, when: When) -> Iterable[Told]:
        """Take a report or an action in."""
        self._pass(when.clock_us)
        if isinstance(message, Report):
            self._report(message, when)
        else:
            self._act(message, when)
        return self._said()

    def tick(self, clock_us: int) -> Iterable[Told]:
        """End what nobody cleared, and what was cleared long enough ago."""
        self._pass(clock_us)
        return self._said()

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What changed since the last call."""
        return self._known.changed_rows()

    @property
    def open_incidents(self) -> list[str]:
        """Ids of those that are going on, in order."""
        return sorted(incident.incident_id for incident in self._known if incident.is_open)

    def _said(self) -> list[Told]:
        told, self._told = self._told, []
        return told

    # ------------------------------------------------------------------ reports

    def _report(self, report: Report, when: When) -> None:
        name, report_id = f"{report.source}:{report.source_id}", report_id_of(report)
        source = self._known.source(name)
        if source is not None and report_id in source.recent:
            return
        if report.resolved:
            incident, effect = self._resolve(report, name, source, when)
        else:
            incident, effect = self._take(report, name, source, when)
        self._remember_source(report, name, report_id, incident, effect)
        incident.reports += 1
        incident.heard_clock_us = max(incident.heard_clock_us, when.clock_us)
        self._known.touch(incident)
        self._step(incident, when.record_us, when.clock_us)
        told = _told_report(report, report_id, incident, effect, when)
        self._told.append(Told(REPORTS, incident.incident_id.encode(), _encode(told)))

    def _take(
        self, report: Report, name: str, source: SourceMemory | None, when: When
    ) -> tuple[IncidentMemory, ReportEffect]:
        """A report of something that is going on."""
        effect: ReportEffect
        incident = None if source is None else self._known.get(source.incident_id)
        if incident is not None and source is not None:
            if report.time_us <= source.time_us and (source.resolved or not incident.is_open):
                return incident, "late"
            if incident.is_open and source.generation == incident.generation:
                effect = "late" if report.time_us < source.time_us else "updated"
                if effect == "updated":
                    self._update(incident, report, name, source)
                self._widen(incident, report)
                return incident, effect
            # what was said to be over before it was said to be going on may go on at any time
            if not incident.is_open and incident.can_be_reopened and not self._may_reopen(incident, when):
                incident = None
        if incident is None:
            incident = self._same(report, when)
        if incident is None:
            incident, effect = self._open(report, name, when), "opened"
        elif incident.is_open:
            effect = "merged"
        else:
            self._reopen(incident, when)
            # what is claimed from now on counts
            incident.generation += 1
            incident.claims, incident.found_level, incident.going_on = {}, None, 0
            effect = "reopened"
        self._join(incident, report, when)
        return incident, effect

    def _same(self, report: Report, when: When) -> IncidentMemory | None:
        """The incident that a report is of that names none; an open one rather than one that was cleared."""
        group, cleared = group_of(report.kind), None
        for incident in self._known.near(report.lat, report.lon):
            if incident.group != group:
                continue
            if incident.is_open:
                if incident.first_us - self._merge_us <= report.time_us <= incident.last_us + self._merge_us:
                    return incident
            elif cleared is None and self._may_reopen(incident, when):
                cleared = incident
        return cleared

    def _may_reopen(self, incident: IncidentMemory, when: When) -> bool:
        """Whether it was cleared a little while ago."""
        return (
            incident.state in POSSIBLE_IN["reopen"]
            and incident.cleared_us is not None
            and incident.can_be_reopened
            and when.record_us - incident.cleared_us <= self._reopen_us
        )

    def _open(self, report: Report, name: str, when: When) -> IncidentMemory:
        incident_id = report.source_id
        if incident_id in self._known:
            incident_id = str(uuid.uuid5(_NAMESPACE, f"{name}\0{report.time_us}\0{when.record_us}"))
        incident = IncidentMemory(
            incident_id=incident_id,
            number=self._known.next_number(),
            group=group_of(report.kind),
            owner=name,
            lat=report.lat,
            lon=report.lon,
            first_us=report.time_us,
            last_us=report.time_us,
            reported_us=when.record_us,
            updated_us=when.record_us,
            heard_clock_us=when.clock_us,
            told_clock_us=when.clock_us,
            is_placed=False,
        )
        crowded_out = self._known.add(incident)
        if not report.resolved:
            self._known.place(incident)
        if crowded_out is not None:
            self._let_go(crowded_out, when)
        return incident

    def _join(self, incident: IncidentMemory, report: Report, when: When) -> None:
        """A source that says of an incident for the first time, or since it was opened again."""
        trusted = report.source != "citizen"
        incident.claim(report.kind, self._level(report), trusted)
        incident.words.setdefault(report.kind, report.word)
        if report.source == "emergency":
            incident.going_on += 1
            incident.is_emergency = True
        if report.source not in incident.sources:
            incident.sources = sorted([*incident.sources, report.source])
        if incident.heading is None and not incident.reports:
            incident.heading = report.heading
        if trusted:
            self._verify(incident, report.source, when.record_us)
        self._widen(incident, report)

    def _update(self, incident: IncidentMemory, report: Report, name: str, source: SourceMemory) -> None:
        """A source says something newer of what it reported."""
        incident.withdraw(source)
        incident.claim(report.kind, self._level(report), source.trusted)
        incident.words.setdefault(report.kind, report.word)
        if source.resolved:
            incident.going_on += 1
        if incident.owner == name:
            incident.lat, incident.lon, incident.heading = report.lat, report.lon, report.heading
            self._known.place(incident)

    def _widen(self, incident: IncidentMemory, report: Report) -> None:
        """Take in when a report says that it was going on, and its words where they are the newest."""
        if report.description and report.time_us >= incident.last_us:
            incident.description = report.description
        incident.first_us = min(incident.first_us, report.time_us)
        incident.last_us = max(incident.last_us, report.time_us)
        incident.weigh(self._severities)

    def _resolve(
        self, report: Report, name: str, source: SourceMemory | None, when: When
    ) -> tuple[IncidentMemory, ReportEffect]:
        """The emergency desk says that something is over."""
        if source is None:
            # it was never said to be going on: kept as one that is over, near which nothing is merged
            incident = self._open(report, name, when)
            incident.claim(report.kind, self._level(report), trusted=True)
            incident.words[report.kind] = report.word
            incident.sources, incident.description, incident.is_emergency = [report.source], report.description, True
            incident.weigh(self._severities)
            incident.state, incident.closed_clock_us = "normal", when.clock_us
            incident.cleared_us = incident.normal_us = when.record_us
            incident.cleared_by = report.source
            return incident, "kept"
        found = self._known.get(source.incident_id)
        assert found is not None  # noqa: S101 - forgotten together
        incident = found
        if source.resolved or report.time_us < source.time_us:
            return incident, "late"
        if not incident.is_open or source.generation != incident.generation:
            return incident, "resolved"
        incident.going_on -= 1
        if incident.going_on > 0:
            incident.withdraw(source)
            incident.weigh(self._severities)
        else:
            self._clear(incident, report.source, when.record_us, when.clock_us)
        return incident, "resolved"

    def _remember_source(
        self, report: Report, name: str, report_id: str, incident: IncidentMemory, effect: ReportEffect
    ) -> None:
        """What the source said last of it."""
        source = self._known.source(name)
        if source is None or effect in {"opened", "merged", "reopened", "kept"}:
            source = SourceMemory(
                incident_id=incident.incident_id,
                time_us=report.time_us,
                kind=report.kind,
                level=self._level(report),
                trusted=report.source != "citizen",
                resolved=report.resolved,
                generation=incident.generation,
                touched=0,
                recent=[] if source is None else source.recent,
            )
        elif effect != "late":
            source.time_us, source.resolved = report.time_us, report.resolved
            if not report.resolved:
                source.kind, source.level = report.kind, self._level(report)
        source.recent = [*source.recent[1 - _RECENT :], report_id]
        self._known.keep_source(name, source)

    def _level(self, report: Report) -> int:
        return self._severities.level_of(report.kind) if report.level is None else report.level

    # ------------------------------------------------------------------ what operators do

    def _act(self, action: Action, when: When) -> None:
        incident = self._known.get(action.incident_id)
        if incident is None or incident.state not in POSSIBLE_IN[action.action] or action.action_id in incident.acted:
            return
        if action.action == "reopen" and not self._may_reopen(incident, when):
            return
        incident.acted = [*incident.acted[1 - _RECENT :], action.action_id]
        if action.level is not None:
            incident.found_level = action.level
        if action.action in {"confirm", "respond"}:
            incident.confirm_claims()
            self._verify(incident, action.by, when.record_us)
        if action.action == "respond":
            incident.state = "responding"
            incident.responding_us = incident.responding_us or when.record_us
            if action.unit_id is not None and action.unit_id not in incident.units:
                incident.units = [*incident.units, action.unit_id]
        elif action.action == "clear":
            self._clear(incident, action.by, when.record_us, when.clock_us)
        elif action.action == "reject":
            incident.state, incident.rejected_us = "rejected", when.record_us
            incident.closed_clock_us = when.clock_us
            self._known.displace(incident)
        elif action.action == "normal":
            incident.state, incident.normal_us = "normal", when.record_us
            incident.closed_clock_us = when.clock_us
        elif action.action == "reopen":
            self._reopen(incident, when)
            incident.confirm_claims()
            self._verify(incident, action.by, when.record_us)
        incident.weigh(self._severities)
        incident.heard_clock_us = max(incident.heard_clock_us, when.clock_us)
        self._known.touch(incident)
        self._step(incident, when.record_us, when.clock_us)

    # ------------------------------------------------------------------ steps of an incident

    def _verify(self, incident: IncidentMemory, by: str, time_us: int) -> None:
        incident.verified = True
        if incident.state == "reported":
            incident.state = "verified"
        if incident.verified_us is None:
            incident.verified_us, incident.verified_by = time_us, by

    def _clear(self, incident: IncidentMemory, by: str, time_us: int, clock_us: int) -> None:
        incident.state, incident.cleared_us, incident.cleared_by = "cleared", time_us, by
        incident.closed_clock_us = clock_us

    def _reopen(self, incident: IncidentMemory, when: When) -> None:
        """Whether it is true has to be said again."""
        incident.reopened += 1
        if not incident.is_placed:
            self._known.place(incident)
        incident.state, incident.verified = "reported", False
        incident.cleared_us = incident.cleared_by = incident.normal_us = None
        incident.heard_clock_us = max(incident.heard_clock_us, when.clock_us)

    def _step(self, incident: IncidentMemory, time_us: int, clock_us: int) -> None:
        """Tell where an incident stands."""
        incident.revision += 1
        incident.updated_us = max(incident.updated_us, time_us)
        self._tell(incident, clock_us)
        alert = step_of_alert(incident)
        if alert is not None:
            self._told.append(Told(ALERTS, incident.incident_id.encode(), _encode(alert)))

    def _tell(self, incident: IncidentMemory, clock_us: int) -> None:
        incident.told_clock_us = max(incident.told_clock_us, clock_us)
        key, value = incident.incident_id.encode(), _encode(incident.document())
        self._told.append(Told(INCIDENTS, key, value))
        self._known.changed(incident)

    # ------------------------------------------------------------------ time

    def _due_us(self, incident: IncidentMemory) -> int:
        """When something happens to an incident that nobody touches."""
        if incident.is_open:
            return min(
                incident.heard_clock_us + self._expiry_us(incident), incident.told_clock_us + self._tell_again_us
            )
        if incident.state == "cleared":
            return incident.closed_clock_us + self._reopen_us
        return incident.closed_clock_us + self._remember_us

    def _expiry_us(self, incident: IncidentMemory) -> int:
        return self._severities.expiry_us(incident.kind) if incident.verified else self._unverified_us

    def _pass(self, clock_us: int) -> None:
        """Time has passed."""
        if self._known.next_due_us <= clock_us:
            for incident in self._known.due(clock_us):
                self._fall_due(incident, clock_us)

    def _fall_due(self, incident: IncidentMemory, clock_us: int) -> None:
        if incident.is_open:
            over_us = incident.heard_clock_us + self._expiry_us(incident)
            if over_us > clock_us:
                self._tell(incident, clock_us)
                return
            if incident.told_clock_us + self._tell_again_us < over_us:
                # both are due, and its end is told anyway
                incident.told_clock_us = clock_us
                self._known.wait_for(incident)
                return
            # what was heard last made a step; the clock may be far behind the broker's
            at_us = incident.updated_us + self._expiry_us(incident)
            self._clear(incident, _EXPIRY, at_us, over_us)
        elif incident.state == "cleared":
            at_us = incident.updated_us + self._reopen_us
            incident.state, incident.normal_us = "normal", at_us
        else:
            self._known.forget(incident)
            return
        self._step(incident, at_us, clock_us)

    def _let_go(self, incident: IncidentMemory, when: When) -> None:
        """There are too many: end the one that was not heard for longest, and forget it."""
        if incident.is_open:
            self._clear(incident, _EXPIRY, when.record_us, when.clock_us)
            self._step(incident, when.record_us, when.clock_us)
        self._known.forget(incident)


def report_id_of(report: Report) -> str:
    """The id of a report: the same for all that say the same."""
    return blake2b(_encode(report), digest_size=16).hexdigest()


def _told_report(
    report: Report, report_id: str, incident: IncidentMemory, effect: ReportEffect, when: When
) -> IncidentReport:
    return IncidentReport(
        report_id=report_id,
        incident_id=incident.incident_id,
        source=report.source,
        source_id=report.source_id,
        message_id=report.message_id,
        effect=effect,
        incident_type=report.word,
        kind=report.kind,
        severity_level=report.level,
        resolved=report.resolved,
        latitude=report.lat,
        longitude=report.lon,
        heading=report.heading,
        description=report.description,
        timestamp=rfc3339(report.time_us),
        received_at=rfc3339(when.record_us),
    )
