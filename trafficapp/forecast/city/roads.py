"""All roads of the city: checked observations in, what predictions are made from and state rows out.

As with windows and alerts, the state is a pure function of the topic's records up to `applied`, whatever the runs in
which they came. No wall clock is in it, and no clock of a worker: what is ahead of time is so by the timestamp of the
record of ``traffic-raw`` that an observation came with.

What is kept of a road follows from the records up to the offset in its row. One of another road changes it, too, when
a clock was ahead and is right again: it then takes the speeds of later times away, and the row is written again with
its offset.

State is only to be written after a round of predictions that covers it (`owes_round` is False then), so whoever goes on
from the rows reads everything again that no round has covered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct, field

from models.cameras.detections import UNDECODABLE, Rejected, event_time_us
from models.roads.current import MOST_OBSERVATION_BYTES, RoadObservation, decode_road_observation
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from trafficapp.congestion.events import CongestionEvents
from trafficapp.congestion.memory import CONGESTION_KEY, read_row
from trafficapp.congestion.suspicion import Before
from trafficapp.engine.faults import refused_by_fault
from trafficapp.engine.state_rows import (
    OFFSET_BYTES,
    UNTOLD,
    SourceLog,
    continued,
    decoded_row,
    partition_key,
    state_row,
)
from trafficapp.forecast.city.recent import RecentSpeeds, RoadSteps, remember, with_newest
from trafficapp.forecast.city.rounds import Rounds
from trafficapp.forecast.city.untold import Told, decode_untold, is_untold
from trafficapp.forecast.day_clock import HOUR_SECONDS, HOURS
from trafficapp.notifications.notices import OpenNotices
from trafficapp.roads.partition import CLOCKS_APART_US, check_readable
from trafficapp.roads.road_rows import RoadLimits, RoadRows
from trafficapp.roads.silence import Looked, Silence

#: Of the last minutes one speed is kept for each of so many pieces, the fastest; pieces are a second or longer.
_PIECES_BEFORE = 600


class Record(Protocol):
    """What is read of a Kafka record; the timestamp is in milliseconds."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order."""
        ...


class Observed(Struct, array_like=True, frozen=True, gc=False):
    """What an observation said of a road.

    Attributes:
        closed: nobody may drive there.
        is_measured: the speed is one that vehicles had; that of a closed road is none.
        by_vehicles: it is of vehicles that were matched here.
    """

    observed_at_us: int
    current_speed_kmh: float
    free_flow_kmh: float
    jam_factor: float
    closed: bool = False
    is_measured: bool = True
    by_vehicles: bool = False
    # new fields go to the end


class RoadState(Struct, array_like=True, gc=False):
    """Everything known of one road.

    Attributes:
        offset: offset of the last record that was applied.
        observed: the newest observation.
        edges: edges of the graph that the road is on, each with the share of it that the road covers.
        sources: by partition of the feed, the offset of the last message that was applied.
        speeds_before: (microseconds, km/h) of the last minutes, with the newest; of each second the fastest.
        steps: of `RecentSpeeds`; only filled in rows.
        notices: where the road stands with notifications; whoever makes rounds keeps it.
        seen_us: where the clock of `Silence` was at its last observation; -1 in rows that do not tell.
        first: offset of the record of its first observation; -1 in rows that do not tell.
        measured_before: the newest observation with a measured speed, where the newest of all has none.
        slow_days: see `trafficapp.congestion.recurrence`.
        hours: as `steps`, of the last hours.
    """

    offset: int = -1
    road_name: str = ""
    observed: Observed | None = None
    edges: list[tuple[str, float]] = field(default_factory=list)
    sources: dict[int, int] = field(default_factory=dict)
    speeds_before: tuple[tuple[int, float], ...] = ()
    steps: RoadSteps = field(default_factory=list)
    notices: OpenNotices = field(default_factory=OpenNotices)
    seen_us: int = -1
    first: int = -1
    measured_before: Observed | None = None
    slow_days: dict[int, int] = field(default_factory=dict)
    hours: RoadSteps = field(default_factory=list)
    # new fields go to the end: rows that were written without them must stay readable

    @property
    def measured(self) -> Observed | None:
        """The newest observation with a measured speed."""
        return self.observed if self.observed is not None and self.observed.is_measured else self.measured_before

    def is_closed(self, now_us: int, closed_us: int) -> bool:
        """Whether nobody may drive there: it was said so, and not longer ago than ``closed_us``."""
        return self.observed is not None and self.observed.closed and now_us - self.observed.observed_at_us <= closed_us


class Fresh(NamedTuple):
    """A newest observation that no round has covered.

    Attributes:
        speeds_before: of the minutes before it.
        anew: the road is new, or was observed ahead of time before: where it stood with notifications says nothing.
        road_name: the road's name then.
        event: id of the congestion event that it was part of then, or touched; "" without one. Of later, where the
            owner before has gone on.
    """

    observed: Observed
    speeds_before: tuple[tuple[int, float], ...]
    anew: bool
    road_name: str
    event: str = ""


class _Applied(Struct, array_like=True):
    """The row of the partition.

    Attributes:
        applied: how far it was applied.
        record_ms, source_ms: of `CityRoads`.
        forgotten_hour: when roads were last looked through for silent ones.
        log_id, partitions: which log it is of, see `SourceLog`.
        looked: of `Silence`; None in rows that do not tell.
    """

    applied: int = -1
    record_ms: int = 0
    notifications: list[Told] = field(default_factory=list)  # of rows that were written before they had their own
    source_ms: int = 0
    forgotten_hour: int = -1
    log_id: str = ""
    partitions: int = 0
    looked: Looked | None = None
    # new fields go to the end


_decode_road = msgspec.msgpack.Decoder(RoadState).decode
_decode_partition = msgspec.msgpack.Decoder(_Applied).decode


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    if key == CONGESTION_KEY:
        return read_row(row)
    return decode_untold(key, row) if is_untold(key) else decoded_row(key, row, _decode_road, _decode_partition)


class CityRoads:
    """The roads of the one partition of checked observations.

    Args:
        partition: its number.
        step_seconds, steps: of the speeds that predictions are made from.
        before_us: how long speeds are kept for `Fresh.speeds_before`.
        guard_us: how far ahead of its record an observation may be.
        forget_us: how long a road is silent before it is forgotten.
        most_roads: observations of further ones are refused.
        rows: state rows to go on from, by key.
        log: which log the records are of.
        congestion: makes the congestion events that go on from a state row, or anew; None, and there are none.

    Raises:
        OtherLog: the rows were made of another one.

    Attributes:
        congestion: what is told of jammed roads that touch each other.
        record_ms: the later one of its timestamp and of that of the record of ``traffic-raw`` behind it, 0 before the
            first. One of the two may be of a worker whose clock is behind, the other one of a backlog.
        source_ms: that of the record of ``traffic-raw`` alone.
        refused: records of the last `apply` that are no observations, and why.
        roads: by road_id.
        recent: the speeds of the last steps.
        hours: those of the last hours, to see whether the day is as the clock says.
        fresh: by road_id, newest observations since the last round, in the order in which they came.
    """

    def __init__(
        self,
        partition: int,
        step_seconds: int,
        steps: int,
        before_us: int,
        guard_us: int,
        rows: Mapping[bytes, bytes],
        *,
        forget_us: int = 86_400 * MICROSECONDS_PER_SECOND,
        most_roads: int = 50_000,
        log: SourceLog = UNTOLD,
        congestion: Callable[[bytes | None], CongestionEvents] | None = None,
    ) -> None:
        self._key = partition_key(partition)
        self.congestion = None if congestion is None else congestion(rows.get(CONGESTION_KEY))
        self._before_us = before_us
        self._piece_us = max(MICROSECONDS_PER_SECOND, before_us // _PIECES_BEFORE)
        self._guard_us = guard_us
        own = rows.get(self._key)
        row = _Applied() if own is None else _decode_partition(own[OFFSET_BYTES:])
        log = continued(SourceLog(row.log_id, row.partitions), log)
        self._row = row = msgspec.structs.replace(row, log_id=log.id, partitions=log.partitions)
        self._rounds = Rounds(rows, row.applied, row.notifications)
        self.record_ms, self.source_ms = row.record_ms, row.source_ms
        looked = row.looked or Looked.of_an_hour(row.forgotten_hour)
        self._silence = Silence(forget_us, looked)
        self.refused: list[tuple[Record, Rejected]] = []
        self.fresh: dict[str, list[Fresh]] = {}
        self.recent, self.hours = RecentSpeeds((), step_seconds, steps), RecentSpeeds((), HOUR_SECONDS, HOURS)
        others = (self._key, CONGESTION_KEY)
        of_roads = {key: row for key, row in rows.items() if key not in others and not is_untold(key)}
        self.roads = {key.decode(): _decode_road(row[OFFSET_BYTES:]) for key, row in of_roads.items()}
        #: Of roads that were forgotten before a round covered what came of them: that, and where they stood before.
        self._left: dict[str, tuple[OpenNotices, list[Fresh]]] = {}
        self._rows = RoadRows(of_roads, self._row_of)
        self._limits = RoadLimits(most_roads)
        for road_id, road in self.roads.items():
            self._limits.known(road_id, len(road.edges), road.first, self.applied)
            self.recent.put_back(road_id, road.steps)
            self.hours.put_back(road_id, road.hours)
            road.steps, road.hours = [], []
        # the owner before may have died while it wrote: rows of roads are then ahead of that of the partition
        self._ahead = {road_id for road_id, road in self.roads.items() if road.offset > self.applied}
        self._forget_silent()

    @property
    def applied(self) -> int:
        """Offset of the last record applied; -1 before the first."""
        return self._rounds.applied

    @property
    def owes_round(self) -> bool:
        """Whether something was applied that no round has covered."""
        return self._rounds.is_owed

    @property
    def is_catching_up(self) -> bool:
        """Whether what a round raises must be sent before it is part of the state, see `Rounds`."""
        return self._rounds.is_catching_up

    @property
    def notifications(self) -> list[Told]:
        """What the last round raised, as it is sent: keys and values."""
        return self._rounds.notifications

    def apply(self, records: Iterable[Record]) -> int:
        """Apply consecutive records; those that are applied already change nothing.

        Returns:
            how many observations took effect.
        """
        took_effect = 0
        self.refused = []
        for record in records:
            if not self._rounds.take(record.offset):
                continue
            try:
                took_effect += self._take_in(record)
            except Rejected as error:
                self.refused.append((record, error))
            except Exception as error:
                # nothing of it is in the state: all that may fail comes before its road is changed
                fault = refused_by_fault(error, f"offset {record.offset} of road observations")
                self.refused.append((record, fault))
        return took_effect

    def edges(self) -> dict[str, list[tuple[str, float]]]:
        """Edges of the graph that each road is on, with the share of it that the road covers."""
        return {road_id: road.edges for road_id, road in self.roads.items()}

    def unjudged(self) -> Iterator[tuple[str, OpenNotices, list[Fresh]]]:
        """Roads with observations since the last round: where they stood with notifications before, and these."""
        for road_id, (standing, left) in self._left.items():
            yield road_id, standing, left + self.fresh.get(road_id, [])
        for road_id, fresh in self.fresh.items():
            if road_id not in self._left:
                yield road_id, self.roads[road_id].notices, fresh

    def judged(self, road_id: str, notices: OpenNotices) -> None:
        """All fresh observations of a road were judged."""
        if road_id in self.roads:
            self.roads[road_id].notices = notices

    def round_made(self, notifications: list[Told]) -> None:
        """A round covers everything that was applied, and raised these notifications."""
        self.fresh, self._left = {}, {}
        self._rounds.made(notifications)

    def prepare_rows(self) -> None:
        """Make the rows that changed. For many roads this takes a while: not for an event loop."""
        self._rows.prepare()
        self._rounds.prepare()

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call.

        What is about to be sent, congestion events, roads, the partition's row, and tombstones of forgotten roads.
        """
        return (
            self._rounds.rows()
            + self._congestion_rows()
            + self._rows.tell(self._own_row(), self.applied, everything=False)
        )

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        return (
            self._rounds.rows()
            + self._congestion_rows()
            + self._rows.tell(self._own_row(), self.applied, everything=True)
        )

    def believed_us(self) -> int:
        """What is known of later times than this was told by a clock that was ahead, and is right again."""
        return self.record_ms * 1000 + self._guard_us + CLOCKS_APART_US

    def _congestion_rows(self) -> list[tuple[bytes, bytes]]:
        # nothing of it can be in a row before the first observation
        return [] if self.congestion is None or self.congestion.applied < 0 else [self.congestion.row()]

    def _own_row(self) -> tuple[bytes, bytes]:
        row = msgspec.structs.replace(
            self._row,
            applied=self.applied,
            record_ms=self.record_ms,
            notifications=[],
            source_ms=self.source_ms,
            forgotten_hour=self._silence.looked.hour,
            looked=self._silence.looked,
        )
        return self._key, state_row(self.applied, row)

    def _row_of(self, key: bytes) -> bytes:
        road_id = key.decode()
        road, steps, hours = self.roads[road_id], self.recent.steps_of(road_id), self.hours.steps_of(road_id)
        return state_row(road.offset, msgspec.structs.replace(road, steps=steps, hours=hours))

    def _take_in(self, record: Record) -> bool:
        """Take in a record.

        Raises:
            Rejected: it is no observation that can be true.
        """
        check_readable(record)
        value = record.value or b""
        if len(value) > MOST_OBSERVATION_BYTES:
            raise Rejected("too_large", f"it has {len(value):,} bytes, more than {MOST_OBSERVATION_BYTES:,}")
        try:
            observation = decode_road_observation(value)
            observed_at_us, source_us = event_time_us(observation.timestamp), observation.record_us
        except (*UNDECODABLE, ValueError, OverflowError) as error:
            raise Rejected("invalid_field", f"it is no observation of a road: {error}") from None
        if observed_at_us > source_us + self._guard_us:
            told, record_time = observation.timestamp, rfc3339(source_us)
            raise Rejected("future", f"timestamp {told} is too far ahead of its record's {record_time}")
        offset = record.offset
        self.source_ms = source_us // 1000
        self.record_ms = max(record.timestamp, self.source_ms)
        if self._silence.is_due(source_us):
            self._forget_silent()
        known = self.roads.get(observation.road_id)
        in_row = known is not None and offset <= known.offset
        self._forget_ahead(offset)
        refusal = self._limits.refusal(observation.road_id, len(observation.edges), offset)
        if refusal is not None:
            raise Rejected("too_many_roads", refusal)
        if self.congestion is not None:
            is_newest = known is None or self._is_newer(known, observed_at_us)
            before = None if known is None else Before(known.speeds_before, known.slow_days)
            self.congestion.apply(offset, observation, observed_at_us, source_us, is_newest=is_newest, before=before)
        return not in_row and self._apply(offset, observation, observed_at_us)

    def _is_newer(self, road: RoadState, observed_at_us: int) -> bool:
        return road.observed is None or self._was_ahead(road) or observed_at_us > road.observed.observed_at_us

    def _was_ahead(self, road: RoadState) -> bool:
        """Whether what was observed last came of a clock that was ahead."""
        return road.observed is not None and road.observed.observed_at_us > self.believed_us()

    def _forget_silent(self) -> None:
        """Forget roads that nothing came of for long; one whose row is ahead of the partition's was seen later."""
        silent = {road_id for road_id, road in self.roads.items() if self._silence.is_silent(_seen_us(road))}
        if not silent:
            return
        for road_id in silent:
            road, fresh = self.roads.pop(road_id), self.fresh.pop(road_id, [])
            if fresh:
                standing, left = self._left.get(road_id, (road.notices, []))
                self._left[road_id] = standing, left + fresh
        self._rows.forgotten(road_id.encode() for road_id in silent)
        self._limits.forgotten(silent)
        self.recent.remove(silent)
        self.hours.remove(silent)

    def _forget_ahead(self, offset: int) -> None:
        """Forget speeds of later times than can be at a record; rows that are ahead of it have lost theirs already."""
        latest = self.believed_us() / MICROSECONDS_PER_SECOND
        if not self.recent.has_after(latest):
            return
        self._ahead = {one for one in self._ahead if one in self.roads and self.roads[one].offset >= offset}
        self.hours.forget_after(latest, self._ahead)
        for road_id in self.recent.forget_after(latest, self._ahead):
            self.roads[road_id].offset = offset
            self._rows.changed(road_id.encode())

    def _apply(self, offset: int, observation: RoadObservation, observed_at_us: int) -> bool:
        road_id = observation.road_id
        known = self.roads.get(road_id)
        if known is not None and _is_repeat(known, observation, observed_at_us):
            return False
        road = RoadState(first=offset) if known is None else msgspec.structs.replace(known)
        road.offset, road.seen_us = offset, self._silence.clock_us
        road.sources = {**road.sources, observation.source_partition: observation.source_offset}
        fresh = self._renew(road, observation, observed_at_us)
        speed_kmh = observation.current_speed if observation.is_measured else None
        remember((self.recent, self.hours), road_id, observed_at_us / MICROSECONDS_PER_SECOND, speed_kmh)
        self.roads[road_id] = road
        self._rows.changed(road_id.encode())
        self._limits.changed(road_id, len(road.edges))
        if fresh is not None:
            self.fresh.setdefault(road_id, []).append(fresh)
        return True

    def _renew(self, road: RoadState, observation: RoadObservation, observed_at_us: int) -> Fresh | None:
        """Let a road be as an observation says; None where that says nothing of the traffic now.

        It is not the newest one, or its speed was not measured and the road is not closed, or is of too few vehicles.
        """
        if not self._is_newer(road, observed_at_us):
            return None
        before, anew = road.speeds_before, road.observed is None
        if self._was_ahead(road):
            # its clock is right again
            before, anew = (), True
            road.measured_before = road.observed = None
        since_us = observed_at_us - self._before_us
        if before and before[0][0] < since_us:
            before = tuple(one for one in before if one[0] >= since_us)
        road.measured_before = None if observation.is_measured else road.measured
        road.observed = Observed(
            observed_at_us,
            observation.current_speed,
            observation.free_flow_speed,
            observation.jam_factor,
            observation.closed,
            observation.is_measured,
            observation.vehicles is not None,
        )
        road.road_name, road.edges = observation.road_name, observation.edges
        road.speeds_before = before
        if observation.is_measured:
            road.speeds_before = with_newest(before, observed_at_us, observation.current_speed, self._piece_us)
        if not (observation.is_raising and (observation.is_measured or observation.closed)):
            return None
        if self.congestion is not None:
            road.slow_days = self.congestion.slow_days(road.slow_days, observation, observed_at_us)
        event = "" if self.congestion is None else self.congestion.event_of(observation.road_id, observation.edges)
        return Fresh(road.observed, before, anew, road.road_name, event)


def _seen_us(road: RoadState) -> int:
    return road.seen_us if road.seen_us >= 0 or road.observed is None else road.observed.observed_at_us


def _is_repeat(road: RoadState, observation: RoadObservation, observed_at_us: int) -> bool:
    """Whether the feed agent sent an observation again.

    Offsets of a feed that was made anew begin again at 0, but what comes then is newer than what was there.
    """
    known = road.sources.get(observation.source_partition, -1)
    newest_us = -1 if road.observed is None else road.observed.observed_at_us
    return observation.source_offset <= known and observed_at_us <= newest_us
