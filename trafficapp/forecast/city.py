"""All roads of the city: checked observations in, what predictions are made from and state rows out.

As with windows and alerts, the state is a pure function of the topic's records up to `applied`, whatever the runs in
which they came. No wall clock is in it, and no clock of a worker: what is ahead of time is so by the timestamp of the
record of ``traffic-raw`` that an observation came with.

State is only to be written after a round of predictions that covers it (`owes_round` is False then), so whoever goes on
from the rows reads everything again that no round has covered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from msgspec import Struct, field

from models.detections import UNDECODABLE, Rejected
from models.roads import RoadObservation, decode_road_observation
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339
from trafficapp.forecast.recent import RecentSpeeds, RoadSteps
from trafficapp.forecast.untold import Told, decode_untold, is_untold, untold_in, untold_rows
from trafficapp.notifications.notices import OpenNotices
from trafficapp.roads.forgetting import Forgetting
from trafficapp.roads.partition import CLOCKS_APART_US, check_readable
from trafficapp.state_rows import (
    OFFSET_BYTES,
    PARTITION_KEY_PREFIX,
    UNTOLD,
    SourceLog,
    continued,
    forgotten_row,
    partition_key,
    state_row,
)

logger = logging.getLogger(__name__)


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


class Observed(Struct, array_like=True, frozen=True):
    """What an observation said of a road."""

    observed_at_us: int
    current_speed_kmh: float
    free_flow_kmh: float
    jam_factor: float


class RoadState(Struct, array_like=True):
    """Everything known of one road.

    Attributes:
        offset: offset of the last record that was applied.
        observed: the newest observation.
        edges: edges of the graph that the road is on, each with the share of it that the road covers.
        sources: by partition of the feed, the offset of the last message that was applied.
        speeds_before: (microseconds, km/h) of the last minutes, the newest observation's among them.
        steps: of `RecentSpeeds`; only filled in rows.
        notices: where the road stands with notifications; whoever makes rounds keeps it.
        seen_us: time of the record of its last observation; -1 in rows that do not tell.
    """

    offset: int = -1
    road_name: str = ""
    observed: Observed | None = None
    edges: list[tuple[str, float]] = field(default_factory=list)
    sources: dict[int, int] = field(default_factory=dict)
    speeds_before: list[tuple[int, float]] = field(default_factory=list)
    steps: RoadSteps = field(default_factory=list)
    notices: OpenNotices = field(default_factory=OpenNotices)
    seen_us: int = -1
    # new fields go to the end: rows that were written without them must stay readable


class Fresh(NamedTuple):
    """A newest observation that no round has covered, and the speeds of the minutes before it."""

    observed: Observed
    speeds_before: tuple[tuple[int, float], ...]


class _Applied(Struct, array_like=True):
    """The row of the partition.

    Attributes:
        applied: how far it was applied.
        record_ms, source_ms: times of its last record, see `CityRoads`.
        forgotten_hour: when roads were last forgotten.
        log_id, partitions: which log it is of, see `SourceLog`.
    """

    applied: int = -1
    record_ms: int = 0
    notifications: list[Told] = field(default_factory=list)  # of rows that were written before they had their own
    source_ms: int = 0
    forgotten_hour: int = -1
    log_id: str = ""
    partitions: int = 0


_decode_road = msgspec.msgpack.Decoder(RoadState).decode
_decode_partition = msgspec.msgpack.Decoder(_Applied).decode


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    state = row[OFFSET_BYTES:]
    if is_untold(key):
        return decode_untold(key, row)
    return _decode_partition(state) if key.startswith(PARTITION_KEY_PREFIX) else (key.decode(), _decode_road(state))


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

    Raises:
        OtherLog: the rows were made of another one.

    Attributes:
        applied: offset of the last record applied; -1 before the first.
        record_ms: the later one of its timestamp and of that of the record of ``traffic-raw`` behind it, 0 before the
            first. One of the two may be of a worker whose clock is behind, the other one of a backlog.
        source_ms: that of the record of ``traffic-raw`` alone.
        refused: records of the last `apply` that are no observations, and why.
        roads: by road_id.
        recent: the speeds of the last steps.
        fresh: by road_id, newest observations since the last round, in the order in which they came.
        owes_round: whether something was applied that no round has covered.
        notifications: what the last round raised, as it is sent: keys and values. It is part of the state before it is
            sent and before any road says that it has raised it, so the next owner sends the same again if we did not
            come to it, and raises nothing a second time.
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
    ) -> None:
        self._key = partition_key(partition)
        self._before_us = before_us
        self._guard_us = guard_us
        self._most_roads = most_roads
        self._dirty: set[str] = set()
        self._prepared: dict[str, bytes] = {}
        own = rows.get(self._key)
        partition_row = _Applied() if own is None else _decode_partition(own[OFFSET_BYTES:])
        self._log = continued(SourceLog(partition_row.log_id, partition_row.partitions), log)
        self.applied, self.record_ms = partition_row.applied, partition_row.record_ms
        self.source_ms = partition_row.source_ms
        self._forgetting = Forgetting(forget_us, partition_row.forgotten_hour)
        self._forgotten: set[str] = set()
        raised_at, untold = untold_in(rows, self.applied)
        self._raised_at = raised_at if untold else -1
        self.notifications = untold or partition_row.notifications
        self.refused: list[tuple[Record, Rejected]] = []
        self.fresh: dict[str, list[Fresh]] = {}
        self.owes_round = False
        self.recent = RecentSpeeds((), step_seconds, steps)
        self.roads = {
            key.decode(): _decode_road(row[OFFSET_BYTES:])
            for key, row in rows.items()
            if key != self._key and not is_untold(key)
        }
        # the owner before may have died while it wrote: rows of roads are then ahead of that of the partition
        self._written_to = max((road.offset for road in self.roads.values()), default=-1)
        self._raised_to = max(self._written_to, raised_at)
        self._forget_silent(self.applied + 1)
        for road_id, road in self.roads.items():
            self._put_back(road_id, road)

    def apply(self, records: Iterable[Record]) -> int:
        """Apply consecutive records; those that are applied already change nothing.

        Returns:
            how many observations took effect.
        """
        took_effect = 0
        self.refused = []
        for record in records:
            if record.offset <= self.applied:
                continue
            self.applied = record.offset
            self.owes_round = True
            try:
                took_effect += self._take_in(record)
            except Rejected as error:
                logger.warning("offset %d of road observations is refused: %s", record.offset, error.detail)
                self.refused.append((record, error))
        return took_effect

    @property
    def is_catching_up(self) -> bool:
        """Whether the owner before has written rows of what was applied, and may have died while it did.

        What a round raises then must be sent before it is part of the state: its row may lose against that of a round
        that the owner before made.
        """
        return self.applied <= self._raised_to

    def edges(self) -> dict[str, list[tuple[str, float]]]:
        """Edges of the graph that each road is on, with the share of it that the road covers."""
        return {road_id: road.edges for road_id, road in self.roads.items()}

    def round_made(self, notifications: list[Told]) -> None:
        """A round covers everything that was applied, and raised these notifications."""
        self.owes_round = False
        self.fresh = {}
        self.notifications, self._raised_at = notifications, self.applied

    def prepare_rows(self) -> None:
        """Make the rows that changed. For many roads this takes a while: not for an event loop."""
        self._prepared = {road_id: self._row(road_id) for road_id in self._dirty}

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call.

        What is about to be sent comes first, then roads, the partition's row, and tombstones of forgotten roads.
        """
        rows = untold_rows(self._raised_at, self.notifications) if self._raised_at == self.applied else []
        rows += [
            (road_id.encode(), self._prepared.get(road_id) or self._row(road_id)) for road_id in sorted(self._dirty)
        ]
        self._dirty.clear()
        self._prepared.clear()
        own = _Applied(self.applied, self.record_ms, [], self.source_ms, self._forgetting.hour, *self._log)
        rows.append((self._key, state_row(self.applied, own)))
        rows += [(road_id.encode(), forgotten_row(self.applied)) for road_id in sorted(self._forgotten)]
        self._forgotten.clear()
        return rows

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        self._dirty.update(self.roads)
        return self.changed_rows()

    def _put_back(self, road_id: str, road: RoadState) -> None:
        """Take the steps of a road over from its row, without those of a clock that was ahead and is right again."""
        last = self._believed_us() // MICROSECONDS_PER_SECOND // self.recent.step_seconds
        steps = road.steps if road.offset > self.applied else [step for step in road.steps if step[0] <= last]
        self.recent.put_back(road_id, steps)
        road.steps = []

    def _believed_us(self) -> int:
        """What is known of later times than this was told by a clock that was ahead, and is right again."""
        return self.record_ms * 1000 + self._guard_us + CLOCKS_APART_US

    def _row(self, road_id: str) -> bytes:
        road = self.roads[road_id]
        return state_row(road.offset, msgspec.structs.replace(road, steps=self.recent.steps_of(road_id)))

    def _take_in(self, record: Record) -> bool:
        """Take in a record.

        Raises:
            Rejected: it is no observation that can be true.
        """
        check_readable(record)
        try:
            observation = decode_road_observation(record.value or b"")
            observed_at_us, source_us = epoch_us(observation.timestamp), observation.record_us
        except (*UNDECODABLE, ValueError, OverflowError) as error:
            raise Rejected("invalid_field", f"it is no observation of a road: {error}") from None
        if observed_at_us > source_us + self._guard_us:
            raise Rejected(
                "future", f"timestamp {observation.timestamp} is too far ahead of its record's {rfc3339(source_us)}"
            )
        self.source_ms = source_us // 1000
        self.record_ms = max(record.timestamp, self.source_ms)
        if self._forgetting.is_due(source_us):
            self._forget_silent(record.offset)
        if observation.road_id not in self.roads and len(self.roads) >= self._most_roads:
            raise Rejected(
                "too_many_roads", f"{len(self.roads):,} roads are known, and {observation.road_id!r} is none of them"
            )
        return self._apply(record.offset, source_us, observation, observed_at_us)

    def _forget_silent(self, offset: int) -> None:
        """Forget roads that nothing came of for long before a record; rows that are ahead of it say what came later."""
        silent = {
            road_id
            for road_id, road in self.roads.items()
            if road.offset < offset and self._forgetting.is_silent(_seen_us(road))
        }
        if not silent:
            return
        for road_id in silent:
            del self.roads[road_id]
            self.fresh.pop(road_id, None)
            self._prepared.pop(road_id, None)
        self._dirty -= silent
        self._forgotten |= silent
        self.recent.remove(silent)

    def _apply(self, offset: int, source_us: int, observation: RoadObservation, observed_at_us: int) -> bool:
        latest_us = self._believed_us()
        if offset > self._written_to:
            # a clock that was ahead, and is right again, must not make all that follows too old
            self.recent.forget_after(latest_us / MICROSECONDS_PER_SECOND)
        road = self.roads.get(observation.road_id)
        if road is None:
            road = self.roads[observation.road_id] = RoadState()
            self.recent.add(observation.road_id)
            self._forgotten.discard(observation.road_id)
        if offset <= road.offset or _is_repeat(road, observation, observed_at_us):
            return False
        road.offset, road.seen_us = offset, source_us
        road.sources[observation.source_partition] = observation.source_offset
        self._dirty.add(observation.road_id)
        self._prepared.pop(observation.road_id, None)
        self.recent.observe(observation.road_id, observed_at_us / MICROSECONDS_PER_SECOND, observation.current_speed)
        newest_us = -1 if road.observed is None else road.observed.observed_at_us
        if newest_us > latest_us:
            road.observed, road.speeds_before, road.notices, newest_us = None, [], OpenNotices(), -1
        if observed_at_us > newest_us:
            self._renew(road, observation, observed_at_us)
        return True

    def _renew(self, road: RoadState, observation: RoadObservation, observed_at_us: int) -> None:
        """Take in an observation that is the road's newest."""
        before = tuple(one for one in road.speeds_before if one[0] >= observed_at_us - self._before_us)
        road.observed = Observed(
            observed_at_us, observation.current_speed, observation.free_flow_speed, observation.jam_factor
        )
        road.road_name, road.edges = observation.road_name, observation.edges
        road.speeds_before = [*before, (observed_at_us, observation.current_speed)]
        self.fresh.setdefault(observation.road_id, []).append(Fresh(road.observed, before))


def _seen_us(road: RoadState) -> int:
    if road.seen_us >= 0 or road.observed is None:
        return road.seen_us
    return road.observed.observed_at_us


def _is_repeat(road: RoadState, observation: RoadObservation, observed_at_us: int) -> bool:
    """Whether the feed agent sent an observation again.

    Offsets of a feed that was made anew begin again at 0, but what comes then is newer than what was there.
    """
    known = road.sources.get(observation.source_partition, -1)
    newest_us = -1 if road.observed is None else road.observed.observed_at_us
    return observation.source_offset <= known and observed_at_us <= newest_us
