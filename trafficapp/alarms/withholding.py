"""What operators are not told of, by whom or what: shelves, outages of cameras, congestion events.

A pure function of what is stored. Times are those of the alarms, so the same alarm is withheld whoever asks, however
often, and whenever something was restarted. Of several reasons the first counts: short, shelved, suppressed, folded,
held.

* **Shelved** (ISA-18.2, OPC UA part 9): a person named the alert, or its rule and source, for a time or for one time.
* **Suppressed by design**: the camera is out of order by `trafficapp.quality`, and the alert follows from its figures.
  Only alerts *behind* the window that the outage began with are: of those before, or of the same window, people know.
* **Folded**: the camera stands on a congestion event that is told, or it is silent as part of a regional outage.
* **Held**, then told or **short** (ISA-18.2, on-delay timer): an alert whose reason has not held for so long is no
  alarm yet, and one that is over before never was. The log says which, see `trafficapp.alerts.lifecycle`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from models.alarms import ShelfKind, SourceKind, Stream, Withheld
from models.alerts import AlertEvent, AlertRow
from models.timestamps import rfc3339
from trafficapp.alarms.alarm import Alarm

#: Rules of alerts that follow from what a camera counts.
RULES_OF_FIGURES = frozenset({"congestion", "stopped_traffic"})
#: Alerts that regional outages are told in the place of.
RULES_OF_OUTAGES = frozenset({"camera_silent"})
#: Why people are not told yet, or never were, of an alert that is or was no alarm.
HELD = Withheld(how="held", by="on_delay", reason="it may be over in a moment")
SHORT = Withheld(how="short", by="on_delay", reason="it was over before people were to be told")
#: Which alarms may be about a source.
_STREAMS_OF: dict[SourceKind, frozenset[Stream]] = {
    "camera": frozenset({"alert", "city_alert"}),
    "zone": frozenset({"alert", "city_alert"}),
    "road": frozenset({"notification"}),
    "subject": frozenset({"city_alert"}),
}
#: For ever; also the end of what still goes on.
_NEVER_US = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


class ShelvedAlarms(NamedTuple):
    """A shelf as it is compared with alarms; times in microseconds since the epoch.

    Attributes:
        shelf_id: its number.
        alert_id: of one alert; None for a rule and source.
        rule: of the alarms.
        source_kind: a zone stands for its cameras.
        sources: ids of cameras, of a road, or of what alerts of the city's other feeds are about.
        from_us, to_us: in force in ``[from, to)``; as far as it is known by now.
        expires_us: the latest end.
    """

    shelf_id: int
    kind: ShelfKind
    alert_id: str | None
    rule: str | None
    source_kind: SourceKind | None
    sources: frozenset[str]
    reason: str
    from_us: int
    to_us: int
    expires_us: int

    def names(self, stream: Stream, alarm_id: str, rule: str, source: str) -> bool:
        """Whether it is about an alarm, whenever that is."""
        if self.alert_id is not None:
            return stream != "notification" and alarm_id == self.alert_id
        return rule == self.rule and source in self.sources and stream in _STREAMS_OF[self.source_kind or "camera"]


class Outage(NamedTuple):
    """A camera was out of order in ``(from, to)``; ``to_us`` is None while it is."""

    camera_id: str
    alert_id: str
    reason: str
    from_us: int
    to_us: int | None


class Fold(NamedTuple):
    """A camera belonged to a congestion event or a regional outage in ``[from, to)``; ``to_us`` is None while it does.

    Attributes:
        rules: of the alerts that are told by it.
    """

    camera_id: str
    event_id: str
    name: str
    from_us: int
    to_us: int | None
    rules: frozenset[str] = RULES_OF_FIGURES


class Withholding:
    """What is withheld.

    Args:
        shelves: with those in force, by whatever time is asked for.
        outages: likewise.
        folds: likewise.
    """

    def __init__(
        self, shelves: Iterable[ShelvedAlarms] = (), outages: Iterable[Outage] = (), folds: Iterable[Fold] = ()
    ) -> None:
        self._shelves = tuple(shelves)
        self._of_alert: dict[str, list[ShelvedAlarms]] = defaultdict(list)
        self._of_rule: dict[tuple[str, str], list[ShelvedAlarms]] = defaultdict(list)
        self._outages: dict[str, list[Outage]] = defaultdict(list)
        self._folds: dict[str, list[Fold]] = defaultdict(list)
        for shelf in self._shelves:
            if shelf.alert_id is not None:
                self._of_alert[shelf.alert_id].append(shelf)
            for source in shelf.sources:
                self._of_rule[shelf.rule or "", source].append(shelf)
        for outage in outages:
            self._outages[outage.camera_id].append(outage)
        for fold in folds:
            self._folds[fold.camera_id].append(fold)

    def of(self, stream: Stream, alarm_id: str, rule: str, source: str | None, at_us: int) -> Withheld | None:
        """Why an alarm is withheld at a time; None when it is not.

        Args:
            stream: where it comes from.
            alarm_id: its id.
            rule: that raised it.
            source: its camera or road; None without one.
            at_us: when it was raised, or now; microseconds since the epoch.
        """
        source = source or ""
        for shelf in (*self._of_alert.get(alarm_id, ()), *self._of_rule.get((rule, source), ())):
            if shelf.from_us <= at_us < shelf.to_us and shelf.names(stream, alarm_id, rule, source):
                until = rfc3339(shelf.expires_us)
                return Withheld(how="shelved", by=str(shelf.shelf_id), reason=shelf.reason, until=until)
        if stream != "alert":
            return None
        for outage in self._outages.get(source, ()) if rule in RULES_OF_FIGURES else ():
            if outage.from_us < at_us < (outage.to_us or _NEVER_US):
                return Withheld(how="suppressed", by=outage.alert_id, reason=outage.reason)
        for fold in self._folds.get(source, ()):
            if rule in fold.rules and fold.from_us <= at_us < (fold.to_us or _NEVER_US):
                return Withheld(how="folded", by=fold.event_id, reason=fold.name)
        return None

    def of_alert(self, alert: AlertRow | AlertEvent, at_us: int) -> Withheld | None:
        """Why an alert is withheld at a time, as `of`, or since it is no alarm."""
        delayed = on_delay(alert)
        if delayed is not None and delayed.how == "short":
            return delayed
        return self.of("alert", alert.id, alert.alert_type, alert.camera_id, at_us) or delayed

    def in_force(self, at_us: int) -> frozenset[int]:
        """Numbers of the shelves that are in force at a time."""
        return frozenset(one.shelf_id for one in self._shelves if one.from_us <= at_us < one.to_us)

    def shelved(self, stream: Stream, alarm_id: str, rule: str, source: str | None, at_us: int) -> Withheld | None:
        """By which shelf an alarm is withheld at a time, see `of`; None when by none."""
        found = self.of(stream, alarm_id, rule, source, at_us)
        return found if found is not None and found.how == "shelved" else None

    def marked(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Alarms, each with why it was withheld when it was raised."""
        found = []
        for one in alarms:
            # an alert that is or was no alarm is marked already
            short = one.withheld == "short"
            withheld = None if short else self.of(one.stream, one.alarm_id, one.rule, one.source, one.raised_us)
            found.append(one if withheld is None else one._replace(withheld=withheld.how))
        return found


def on_delay(alert: AlertRow | AlertEvent) -> Withheld | None:
    """Why people are not told of an alert that is no alarm; None of one that is."""
    if alert.alarm_at is not None:
        return None
    if alert.resolved_at is None:
        return HELD
    return SHORT


def cleared_us(shelf: ShelvedAlarms, alarms: Sequence[Alarm]) -> int | None:
    """When a one-shot shelf ended, as the alarm that it was for is over; None while it is not.

    It is for the alarm that stands when it is shelved, else for the next one. A message that is told once is over when
    it was told. An alert that was too short to be told is none, unless the shelf is for it.

    Args:
        shelf: one-shot.
        alarms: those that stood at its begin and those since, in any order; others are passed over.
    """
    mine = [
        one
        for one in alarms
        if shelf.names(one.stream, one.alarm_id, one.rule, one.source)
        and (one.withheld != "short" or shelf.alert_id is not None)
        and one.raised_us < shelf.expires_us
        and (one.raised_us >= shelf.from_us or (one.stands and (one.cleared_us or _NEVER_US) > shelf.from_us))
    ]
    if not mine:
        return None
    first = min(mine, key=lambda one: (one.raised_us, one.alarm_id))
    if not first.stands:
        # the shelf is in force before its end, and still was when it was told
        return first.raised_us + 1
    return first.cleared_us
