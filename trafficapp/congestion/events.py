"""Congestion events: a pure function of the observations in the order of their log, record by record.

Slow roads are candidates; one that has been slow for long enough is jammed. Jammed roads that touch each other, with
the candidates that touch them, are one event. Candidates join an event, but only jammed roads make two events one.

Which event goes on:

* **Merged**: the oldest id survives, by ``(began, id)``. What the others have lost is added to it; they end in it.
* **Split**: the part with the most road keeps the id, of equals the first by name. Another part with a jammed road
  becomes a new event, which is told only when it has grown: people know of it as part of the one that they were told
  of.
* **Calm**: when its last jammed road is calm the event is over, but goes on under its id when one of the roads that
  it was on last jams again within ``jams.reopen_seconds``; only then is its end told.

Time is that of the log: the times of the records of ``traffic-raw``. Whatever the runs in which records come, and
however often they are repeated, the same is told, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple
from uuid import UUID, uuid5

from msgspec import structs

from models.roads.congestion import CongestionCause, CongestionEvent
from models.roads.current import RoadObservation
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.congestion.documents import document_of
from trafficapp.congestion.extent import Extent, extent_of
from trafficapp.congestion.memory import Event, Kept, read_row, row_of
from trafficapp.congestion.network import RoadLie, RoadNetwork
from trafficapp.congestion.recurrence import with_slow
from trafficapp.congestion.slow_roads import SlowRoad, SlowRoads, copies
from trafficapp.congestion.suspicion import Before, Suspicion, flowed_before, suspicion_of
from trafficapp.settings import JamSettings, SuspicionSettings

_NAMESPACE = UUID("a9a0c2f5-4c1e-5a0b-9a43-6a2b3f8e7d11")

#: How often, in time of the log, what follows from time alone is looked for, and an event is measured anew.
_LOOK_US = 10 * MICROSECONDS_PER_SECOND
#: A record this much before the one before it: that one's clock was ahead.
_CLOCK_AHEAD_US = 360 * MICROSECONDS_PER_SECOND
#: Lengths are compared with that of so long before, and kept so often.
_TREND_US, _SAMPLE_US = 300 * MICROSECONDS_PER_SECOND, 60 * MICROSECONDS_PER_SECOND

ChangeKind = Literal["begun", "changed", "ended"]


class Change(NamedTuple):
    """Something that is told.

    Attributes:
        kind: what it is.
        event: as it is then; who tells adds a cause that is found outside of the log.
        number: how many changes of the event were told before.
        at: when, RFC 3339.
    """

    kind: ChangeKind
    event: CongestionEvent
    number: int
    at: str

    @property
    def id(self) -> str:
        """The same for a repeat of the same change."""
        return str(uuid5(_NAMESPACE, f"{self.event.event_id}\n{self.number}\n{self.kind}"))


class OpenEvent(NamedTuple):
    """An event that goes on: the road at its head, and all edges of the graph that it is on."""

    event_id: str
    head: str
    edges: list[str]


class CongestionEvents:
    """All events of the city.

    Args:
        settings: what is jammed, and what is told.
        network: where roads lie.
        row: the state row to go on from; None begins anew.
        closed_us: a road that was told to be closed counts as open again after so long.
        suspicions: when an incident is suspected; None, and none is.

    Attributes:
        applied: offset of the last observation that was applied; -1 before the first.
    """

    def __init__(
        self,
        settings: JamSettings,
        network: RoadNetwork,
        row: bytes | None,
        closed_us: int,
        suspicions: SuspicionSettings | None = None,
    ) -> None:
        kept = Kept() if row is None else read_row(row)
        self._settings, self._closed_us = settings, closed_us
        self.suspicions = None if suspicions is None or not suspicions.enabled else suspicions
        self._reopen_us = round(settings.reopen_seconds * MICROSECONDS_PER_SECOND)
        self._silent_us = round(settings.silent_seconds * MICROSECONDS_PER_SECOND)
        self.applied, self._clock_us, self._closed = kept.applied, kept.clock_us, kept.closed
        #: By partition of the feed, offset and time of the newest message: what is said again changes nothing.
        self._sources = kept.sources
        self._over_now: dict[str, str] | None = None
        self._slow = SlowRoads(settings, network, kept.roads)
        self._network = network
        self._events = {event.event_id: event for event in kept.events}
        self._changes: list[Change] = []
        #: To be published: those that go on, and those that have ended since.
        self._changed: set[str] = set(self._events)
        self._ended: dict[str, CongestionEvent] = {}

    # ------------------------------------------------------------------ what comes in

    def apply(
        self,
        offset: int,
        observation: RoadObservation,
        observed_us: int,
        source_us: int,
        *,
        is_newest: bool = True,
        before: Before | None = None,
    ) -> None:
        """Take in an observation; one that was applied already, or is not the newest of its road, changes nothing.

        Args:
            offset: of its record; ascending.
            observation: of a road.
            observed_us: when it was observed, microseconds since the epoch.
            source_us: the time of its record of ``traffic-raw``.
            is_newest: False when another one of the road is known that is not older.
            before: what is known of the road before it; None, and no incident is suspected there.
        """
        if offset <= self.applied:
            return
        self.applied = offset
        newest = self._sources.get(observation.source_partition, (-1, 0))
        if observation.source_offset <= newest[0] and source_us <= newest[1]:
            return
        self._sources[observation.source_partition] = observation.source_offset, source_us
        self._advance(source_us)
        if not is_newest:
            return
        road_id = observation.road_id
        if observation.closed:
            self._closed[road_id] = observed_us, list(observation.edges)
            self._leave(road_id)
            return
        self._closed.pop(road_id, None)
        if not (observation.is_measured and observation.is_raising) or observed_us < self._clock_us - self._silent_us:
            return
        known = self._slow.get(road_id)
        if known is not None and observed_us <= known.observed_us:
            return
        change, lost = self._slow.observe(observation, observed_us)
        road = self._slow.get(road_id)
        if known is None and road is not None and before is not None and self.suspicions is not None:
            road.flowed_share, road.days = flowed_before(self.suspicions, before, road.free_kmh, observed_us)
        event = None if known is None else self._events.get(known.event)
        if event is not None:
            event.delay_vehicle_hours += lost
            self._touch(event)
        elif known is not None:
            known.lost += lost
        if change == "calm":
            self._leave(road_id)
        elif change == "jammed":
            self._jam(road_id)
        elif change == "slow":
            self._join(road_id)
        now = self._slow.get(road_id)
        event = None if now is None else self._events.get(now.event)
        if event is not None:
            self._look(event)

    def slow_days(self, days: dict[int, int], observation: RoadObservation, at_us: int) -> dict[int, int]:
        """Days on which a road was slow, with an observation; see `trafficapp.congestion.recurrence`."""
        is_slow = observation.current_speed < self._settings.jam_share * observation.free_flow_speed
        return with_slow(days, at_us) if is_slow and observation.is_measured else days

    def event_of(self, road_id: str, edges: Iterable[tuple[str, float]] = ()) -> str:
        """Id of the event that a road is on, or touches, or was on until lately; "" when there is none.

        Args:
            road_id: the road.
            edges: that it is on; what it touches then counts as well.
        """
        road = self._slow.get(road_id)
        if road is not None and road.event:
            return road.event
        over = self._over()
        if road_id in over:
            return over[road_id]
        touched = {one.event for one in self._slow.touching_edges(list(edges)) if one.event}
        return min(touched, key=self._age, default="")

    # ------------------------------------------------------------------ what comes out

    def take_changes(self) -> list[Change]:
        """What is to be told since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def take_documents(self) -> list[CongestionEvent]:
        """Events that changed since the last call, as they are now."""
        ended, self._ended = self._ended, {}
        changed, self._changed = self._changed, set()
        going_on = [self._document(self._events[name]) for name in sorted(changed) if name in self._events]
        return [*ended.values(), *going_on]

    def open_events(self) -> Iterator[OpenEvent]:
        """Those that go on, of which no cause is known."""
        for event in self._events.values():
            if not event.calm_us and event.cause is None:
                edges = [edge for name in event.roads for edge, _ in self._slow.roads[name].edges]
                yield OpenEvent(event.event_id, self._extent(event).head, edges)

    def causes(self, found: Mapping[str, CongestionCause]) -> None:
        """Why there are events, by id, where that was found outside of the log; what was found before stays."""
        for event_id, cause in found.items():
            event = self._events.get(event_id)
            if event is not None and event.cause is None:
                event.cause = cause
                self._changed.add(event_id)

    def unconfirmed(self) -> Iterator[tuple[str, Suspicion]]:
        """Suspicions that no report was matched to, each with the id of its event."""
        for event in self._events.values():
            if event.suspicion is not None and not event.suspicion.incident_id:
                yield event.event_id, event.suspicion

    def confirm(self, event_id: str, incident: CongestionCause) -> None:
        """A report was matched to the suspicion of an event: it is its cause, unless another was found before."""
        event = self._events.get(event_id)
        if event is not None and event.suspicion is not None and not event.suspicion.incident_id:
            event.suspicion = structs.replace(event.suspicion, incident_id=incident.id)
            event.cause = event.cause or incident
            self._touch(event)

    def cause_of(self, event_id: str) -> CongestionCause | None:
        """Why there is an event, where that is known."""
        event = self._events.get(event_id)
        return None if event is None else self._known_cause(event)

    def row(self) -> tuple[bytes, bytes]:
        """The state row: it covers everything up to `applied`."""
        roads = [self._slow.roads[name] for name in sorted(self._slow.roads)]
        events = [self._events[name] for name in sorted(self._events)]
        return row_of(Kept(self.applied, self._clock_us, roads, events, self._closed, self._sources))

    # ------------------------------------------------------------------ time

    def _advance(self, source_us: int) -> None:
        before = self._clock_us
        if source_us > before or source_us < before - _CLOCK_AHEAD_US:
            self._clock_us = source_us
        if self._clock_us // _LOOK_US == before // _LOOK_US:
            return
        clock_us = self._clock_us
        for road_id in self._slow.unheard(clock_us - self._silent_us, clock_us + _CLOCK_AHEAD_US):
            self._leave(road_id)
        self._closed = {name: one for name, one in self._closed.items() if abs(clock_us - one[0]) <= self._closed_us}
        for event in sorted(self._events.values(), key=lambda one: self._age(one.event_id)):
            if not event.calm_us:
                self._look(event)
            elif not event.calm_us - _CLOCK_AHEAD_US <= clock_us < event.calm_us + self._reopen_us:
                self._end(event, None)

    # ------------------------------------------------------------------ roads come and go

    def _join(self, road_id: str) -> None:
        """A road is slow: it joins the oldest event that it touches."""
        touched = {self._slow.roads[other].event for other in self._slow.touching(road_id)} - {""}
        if touched:
            self._put(road_id, self._events[min(touched, key=self._age)])

    def _jam(self, road_id: str) -> None:
        """A road is jammed: what hangs together with it is one event."""
        roads = self._slow.roads
        own = roads[road_id].event
        reached, open_, beside = {road_id}, [road_id], set[str]()
        while open_:
            for name in self._slow.touching(open_.pop()):
                other = roads[name]
                if not (other.is_jammed or other.event in ("", own)):
                    beside.add(other.event)
                elif name not in reached:
                    reached.add(name)
                    open_.append(name)
        over = self._over()
        met = {roads[name].event for name in reached} | {over[name] for name in reached if name in over}
        met.discard("")
        # a candidate does not make two events one, but what would be new beside it is no new one
        met = met or {*sorted(beside, key=self._age)[:1]}
        if met:
            event = self._events[min(met, key=self._age)]
        else:
            began_us = min(roads[name].since_us for name in reached if roads[name].is_jammed)
            event = self._new(road_id, began_us)
        event.calm_us, event.last, self._over_now = 0, [], None
        for event_id in sorted(met - {event.event_id}):
            self._merge(self._events[event_id], event)
        for name in sorted(reached):
            self._put(name, event)
        self._suspect(road_id, event)

    def _suspect(self, road_id: str, event: Event) -> None:
        """A road is jammed now: suspect an incident there, unless one is suspected on the event already."""
        if self.suspicions is None or (event.suspicion is not None and event.suspicion.road_id in event.roads):
            return
        lies = self._slow.lies
        next_to = [lies[other] for other in self._slow.touching(road_id) if other != road_id]
        found = suspicion_of(self.suspicions, self._slow.roads[road_id], lies[road_id], next_to, self._clock_us)
        if found is not None:
            event.suspicion = found
            self._touch(event)

    def _leave(self, road_id: str) -> None:
        """A road is not slow any more."""
        road = self._slow.get(road_id)
        if road is None:
            return
        event = self._events.get(road.event)
        self._slow.forget(road_id)
        if event is None:
            return
        self._touch(event)
        event.roads.remove(road_id)
        event.last = [one for one in event.last if one.observed_us >= self._clock_us - self._reopen_us] + [road]
        rest = set(event.roads)
        parts = self._slow.together(rest, rest)
        alive = [part for part in parts if any(self._slow.roads[name].is_jammed for name in part)]
        for part in parts:
            if part not in alive:
                for name in part:
                    self._slow.roads[name].event = ""
        if not alive:
            event.last += copies(self._slow.roads, event.roads)
            event.roads, event.calm_us = [], self._clock_us
            self._over_now = None
            return
        kept = max(alive, key=self._metres)
        event.roads = sorted(kept)
        for part in alive:
            if part is not kept:
                self._split(event, part)

    def _split(self, event: Event, part: set[str]) -> None:
        jammed = sorted(name for name in part if self._slow.roads[name].is_jammed)
        new = self._new(jammed[0], min(self._slow.roads[name].since_us for name in jammed))
        for name in sorted(part):
            self._slow.roads[name].event = ""
            self._put(name, new)
        if event.told_us:
            new.told_m = self._extent(new).length_m
            new.cause = event.cause
        if event.suspicion is not None and event.suspicion.road_id in part:
            new.suspicion, event.suspicion = event.suspicion, None

    def _merge(self, other: Event, event: Event) -> None:
        event.delay_vehicle_hours += other.delay_vehicle_hours
        event.cause = event.cause or other.cause
        event.suspicion = event.suspicion or other.suspicion
        roads = list(other.roads)
        self._end(other, event.event_id)
        for name in roads:
            self._slow.roads[name].event = ""
            self._put(name, event)

    def _put(self, road_id: str, event: Event) -> None:
        road = self._slow.roads[road_id]
        if road.event != event.event_id:
            road.event = event.event_id
            event.delay_vehicle_hours += road.lost
            road.lost = 0.0
            event.roads = sorted({*event.roads, road_id})
            self._touch(event)

    def _touch(self, event: Event) -> None:
        """An event is another one now, and newer to readers, also where a clock was ahead."""
        event.changed_us = max(event.changed_us + 1, self._clock_us)
        self._changed.add(event.event_id)

    def _new(self, road_id: str, began_us: int) -> Event:
        event_id = str(uuid5(_NAMESPACE, f"{self.applied}\n{self._clock_us}\n{road_id}"))
        event = self._events[event_id] = Event(event_id, began_us)
        return event

    def _over(self) -> dict[str, str]:
        """Roads of events that are over but may go on, each with the id of the oldest."""
        if self._over_now is not None:
            return self._over_now
        over: dict[str, str] = {}
        self._over_now = over
        for event in sorted(self._events.values(), key=lambda one: self._age(one.event_id)):
            for road in event.last if event.calm_us else ():
                over.setdefault(road.road_id, event.event_id)
        return over

    def _age(self, event_id: str) -> tuple[int, str]:
        return self._events[event_id].began_us, event_id

    # ------------------------------------------------------------------ what is told

    def _look(self, event: Event) -> None:
        """Tell an event that nobody knows of, or that is another than the one that was told."""
        clock_us, settings = self._clock_us, self._settings
        if event.looked_us and (event.told_us or event.told_m) and 0 <= clock_us - event.looked_us < _LOOK_US:
            return
        event.looked_us = clock_us
        length_m = self._extent(event).length_m
        self._sample(event, length_m)
        has_grown = length_m >= settings.grown_by * event.told_m
        if not event.told_us:
            lasted_us = clock_us - event.began_us
            is_long = length_m >= settings.told_length_m
            if has_grown and (is_long or lasted_us >= settings.told_minutes * 60 * MICROSECONDS_PER_SECOND):
                self._tell("begun", event, length_m)
            return
        is_worse = length_m >= settings.critical_length_m and not event.is_critical
        again_us = settings.told_again_minutes * 60 * MICROSECONDS_PER_SECOND
        if is_worse or (has_grown and length_m > 0 and clock_us - event.told_us >= again_us):
            self._tell("changed", event, length_m)

    def _tell(self, kind: ChangeKind, event: Event, length_m: float) -> None:
        self._changes.append(Change(kind, self._document(event), event.number, rfc3339(self._clock_us)))
        event.told_us, event.told_m, event.number = self._clock_us, length_m, event.number + 1
        event.is_critical = event.is_critical or length_m >= self._settings.critical_length_m

    def _end(self, event: Event, merged_into: str | None) -> None:
        self._touch(event)
        document = self._document(event, ended=True, merged_into=merged_into)
        if event.told_us:
            self._changes.append(Change("ended", document, event.number, rfc3339(self._clock_us)))
        self._ended[event.event_id] = document
        self._changed.discard(event.event_id)
        del self._events[event.event_id]
        self._over_now = None

    def _sample(self, event: Event, length_m: float) -> None:
        clock_us = self._clock_us
        if event.lengths and 0 <= clock_us - event.lengths[-1][0] < _SAMPLE_US:
            return
        event.lengths = [one for one in event.lengths if 0 <= clock_us - one[0] <= _TREND_US]
        event.lengths.append((clock_us, length_m))

    def _extent(self, event: Event) -> Extent:
        if event.roads:
            return extent_of(event.roads, self._slow.lies)
        lies = {road.road_id: self._lie(road) for road in event.last}
        return extent_of(lies, lies)

    def _lie(self, road: SlowRoad) -> RoadLie:
        lie = self._network.lie(road.edges, ())
        return lie if lie.begin >= 0 else lie._replace(length_m=road.line_m)

    def _metres(self, road_ids: Iterable[str]) -> float:
        return sum(self._slow.lies[name].length_m for name in road_ids)

    def _known_cause(self, event: Event) -> CongestionCause | None:
        """What was found, else a closure, else what is suspected."""
        known = event.cause or self._closure(event)
        if known is not None or event.suspicion is None:
            return known
        suspected = event.suspicion
        words = f"suspected incident, unconfirmed, {suspected.confidence:.0%} by rule"
        return CongestionCause(kind="suspected_incident", id=suspected.road_id, description=words)

    def _closure(self, event: Event) -> CongestionCause | None:
        """The closed road that an event touches; of several the first by name."""
        for road_id, (_, edges) in sorted(self._closed.items()):
            if any(road.event == event.event_id for road in self._slow.touching_edges(edges)):
                return CongestionCause(kind="closure", id=road_id, description=f"road {road_id} is closed to traffic")
        return None

    def _document(self, event: Event, *, ended: bool = False, merged_into: str | None = None) -> CongestionEvent:
        members = [self._slow.roads[name] for name in event.roads] or event.last
        told = document_of(
            event, self._extent(event), members, self._known_cause(event), self._settings.critical_length_m
        )
        if not ended:
            return told
        ended_at = rfc3339(event.calm_us or self._clock_us)
        return structs.replace(told, state="ended", ended_at=ended_at, merged_into=merged_into)
