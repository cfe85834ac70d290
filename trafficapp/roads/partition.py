"""All roads of one partition of ``traffic-raw``: messages in; observations, dead letters and state rows out.

As with windows and alerts, the state is a pure function of the partition's records up to `applied`, whatever the
runs in which they came. One decision needs a clock: where producers stamp the records themselves, one whose clock
is far ahead is refused by the worker's (`PartitionRoads.apply`).

What a message can grow into is bounded here: an observation is encoded before anything changes, and one that is too
large is refused. All that is made of it later is smaller than that, or than what `RoadLimits` allows.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Protocol

import msgspec
from msgspec import Struct, field

from models.cameras.detections import Rejected
from models.dead_letters import DeadLetter, dead_letter_of
from models.records import UNREADABLE_REASON, WithHeaders, why_unreadable
from models.roads.current import MOST_OBSERVATION_BYTES, RoadObservation, encode_road_observation
from models.timestamps import rfc3339
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
from trafficapp.roads.feed import CheckedMessage, FeedChecks
from trafficapp.roads.graph.matching import TooLarge
from trafficapp.roads.road_edges import CoveredEdge, RoadEdges, line_digest
from trafficapp.roads.road_rows import RoadLimits, RoadRows
from trafficapp.roads.silence import Looked, Silence
from trafficapp.roads.sources import InUse
from trafficapp.topics import ROADS_RAW

#: Clocks that are kept differ by less. A record that is farther ahead of all else is of a producer with a wrong clock.
CLOCKS_APART_US = 300_000_000

#: Of a record that the broker stamped.
_LOG_APPEND_TIME = 1

#: Times of a road that are remembered to know repeats. A road with more of them within the hours that may still come
#: loses its oldest, and what is older than those is refused: a state row must not grow without end.
REMEMBERED_TIMES = 2000


class Record(Protocol):
    """What is read of a Kafka record; ``timestamp`` is milliseconds since the epoch, its type 1 when the broker's."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order."""
        ...


class RoadState(Struct, array_like=True, gc=False):
    """Everything known of one road.

    Attributes:
        offset: offset of the last record that was applied.
        newest_us: time of its newest observation, -1 before the first.
        times_us: times of observations that may still be sent again, ascending.
        forgotten_us: what is not after this time is refused, since it cannot be known whether it is a repeat.
        line: digest of the line that the edges were found by.
        graph_version: of the graph that they are of.
        edges: the edges that the road is on.
        seen_us: where the clock of `Silence` was at its last record; -1 in rows that do not tell.
        first: offset of its first record; -1 in rows that do not tell.
        in_use: the newest speed that was used; None in rows that do not tell.
    """

    offset: int = -1
    newest_us: int = -1
    times_us: list[int] = field(default_factory=list)
    forgotten_us: int = -1
    line: bytes = b""
    graph_version: str = ""
    edges: tuple[CoveredEdge, ...] = ()
    seen_us: int = -1
    first: int = -1
    in_use: InUse | None = None
    # new fields go to the end: rows that were written without them must stay readable


class _Applied(Struct, array_like=True):
    """The row of a partition.

    Attributes:
        applied: how far it was applied.
        newest_record_us: the newest time of a record.
        forgotten_hour: when roads were last looked through for silent ones.
        log_id, partitions: which log it is of, see `SourceLog`.
        looked: of `Silence`; None in rows that do not tell.
    """

    applied: int = -1
    newest_record_us: int = -1
    forgotten_hour: int = -1
    log_id: str = ""
    partitions: int = 0
    looked: Looked | None = None
    # new fields go to the end


@dataclass(slots=True)
class Outcome:
    """What a run of records led to.

    Attributes:
        observations: accepted messages, completed, in order.
        records: the same as they are sent: keys and values.
        dead_letters: refused messages, in order.
        repeated: messages that were seen before.
        superseded: messages that were left out, since the road has its speed from elsewhere, see `roads.sources`.
        rejected: messages refused, by reason.
    """

    observations: list[RoadObservation] = dataclass_field(default_factory=list)
    records: list[tuple[bytes, bytes]] = dataclass_field(default_factory=list)
    dead_letters: list[DeadLetter] = dataclass_field(default_factory=list)
    repeated: int = 0
    superseded: int = 0
    rejected: dict[str, int] = dataclass_field(default_factory=dict)


_decode_road = msgspec.msgpack.Decoder(RoadState).decode
_decode_partition = msgspec.msgpack.Decoder(_Applied).decode


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    return decoded_row(key, row, _decode_road, _decode_partition)


class PartitionRoads:
    """The roads of one partition.

    Args:
        partition: its number.
        checks: what can be true.
        road_edges: where roads are on the graph.
        rows: state rows to go on from, by key.
        log: which log the records are of.

    Raises:
        OtherLog: the rows were made of another one.
    """

    def __init__(
        self,
        partition: int,
        checks: FeedChecks,
        road_edges: RoadEdges,
        rows: Mapping[bytes, bytes],
        log: SourceLog = UNTOLD,
    ) -> None:
        self.partition = partition
        self._checks = checks
        self._road_edges = road_edges
        self._key = partition_key(partition)
        # no honest message is farther behind the newest of its road: it would be late
        self._remember_us = checks.late_us + checks.future_us
        own = rows.get(self._key)
        row = _Applied() if own is None else _decode_partition(own[OFFSET_BYTES:])
        log = continued(SourceLog(row.log_id, row.partitions), log)
        self._row = row = msgspec.structs.replace(row, log_id=log.id, partitions=log.partitions)
        self.applied, self._newest_record_us = row.applied, row.newest_record_us
        looked = row.looked or Looked.of_an_hour(row.forgotten_hour)
        self._silence = Silence(checks.forget_us, looked)
        of_roads = {key: row for key, row in rows.items() if key != self._key}
        self.roads = {key: _decode_road(row[OFFSET_BYTES:]) for key, row in of_roads.items()}
        self._rows = RoadRows(of_roads, self._row_of)
        self._limits = RoadLimits(checks.max_roads)
        for key, road in self.roads.items():
            self._limits.known(key.decode(), len(road.edges), road.first, self.applied)
        self._forget_silent()

    def apply(self, records: Iterable[Record], clock_us: int | None = None) -> Outcome:
        """Apply consecutive records; those that are applied already change nothing.

        Args:
            records: of the partition.
            clock_us: the worker's clock. A record that its producer stamped, and that is far ahead of this and of all
                before it, is refused. A replay long after may take in what was refused so; nothing else differs.
        """
        outcome = Outcome()
        for record in records:
            if record.offset <= self.applied:
                continue
            self.applied = record.offset
            try:
                check_readable(record)
                self._check_clock(record, clock_us)
                checked = self._checks.check(record.key, record.value, record.timestamp * 1000)
                self._apply(record, checked, outcome)
            except Rejected as error:
                self._refuse(record, error, outcome)
            except Exception as error:
                # nothing of it is in the state: all that may fail comes before the first change
                fault = refused_by_fault(error, f"{ROADS_RAW}-{self.partition} at offset {record.offset}")
                self._refuse(record, fault, outcome)
        return outcome

    def prepare_rows(self) -> None:
        """Make the rows that changed. For many roads this takes a while: not for an event loop."""
        self._rows.prepare()

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call: roads, the partition's row, then those of forgotten roads."""
        return self._rows.tell(self._own_row(), self.applied, everything=False)

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        return self._rows.tell(self._own_row(), self.applied, everything=True)

    def _own_row(self) -> tuple[bytes, bytes]:
        row = msgspec.structs.replace(
            self._row,
            applied=self.applied,
            newest_record_us=self._newest_record_us,
            forgotten_hour=self._silence.looked.hour,
            looked=self._silence.looked,
        )
        return self._key, state_row(self.applied, row)

    def _row_of(self, key: bytes) -> bytes:
        return state_row(self.roads[key].offset, self.roads[key])

    def _refuse(self, record: Record, error: Rejected, outcome: Outcome) -> None:
        outcome.rejected[error.reason] = outcome.rejected.get(error.reason, 0) + 1
        outcome.dead_letters.append(dead_letter_of(ROADS_RAW, self.partition, record, error))

    def _check_clock(self, record: Record, clock_us: int | None) -> None:
        if clock_us is None or record.timestamp_type == _LOG_APPEND_TIME:
            return
        record_us = record.timestamp * 1000
        if record_us > max(clock_us, self._newest_record_us) + CLOCKS_APART_US:
            raise Rejected(
                "future",
                f"the record's own timestamp {rfc3339(record_us)} is more than {CLOCKS_APART_US / 1e6:g} s ahead of "
                f"all before it and of the worker's clock, {rfc3339(clock_us)}: its producer's clock is wrong",
            )

    def _forget_silent(self) -> None:
        """Forget roads that nothing came of for long; one whose row is ahead of the partition's was seen later."""
        silent = [key for key, road in self.roads.items() if self._silence.is_silent(_seen_us(road))]
        for key in silent:
            del self.roads[key]
        self._rows.forgotten(silent)
        self._limits.forgotten([key.decode() for key in silent])

    def _apply(self, record: Record, checked: CheckedMessage, outcome: Outcome) -> None:
        """Take in a message that can be true.

        Raises:
            Rejected: its road is not on the graph, it is too old to know whether it is a repeat, or it is too much.
        """
        road_id, time_us = checked.message.road_id, checked.time_us
        key = road_id.encode()
        if self._silence.is_due(checked.record_us):
            self._forget_silent()
        self._newest_record_us = max(self._newest_record_us, checked.record_us)
        known = self.roads.get(key)
        road = known or RoadState(first=record.offset)
        if record.offset <= road.offset:
            # the road's row is ahead of the partition's: this record is in it already
            return
        if time_us in _found(road.times_us, time_us):
            outcome.repeated += 1
            return
        if time_us <= road.forgotten_us:
            raise Rejected("late", f"timestamp {rfc3339(time_us)} is too far behind the newest of {road_id}")
        self._check_limits(road_id, 0, record.offset)
        digest = line_digest(checked.line)
        edges = self._edges(checked, road, digest)
        self._check_limits(road_id, len(edges), record.offset)
        observation = self._observation(record, checked, edges)
        value = encode_road_observation(observation)
        if len(value) > MOST_OBSERVATION_BYTES:
            raise Rejected(
                "too_large",
                f"with its line and {len(edges):,} edges the message has {len(value):,} bytes, more than "
                f"{MOST_OBSERVATION_BYTES:,}",
            )
        # from here on nothing is refused
        self._remember(road, time_us)
        road.edges, road.line, road.graph_version = edges, digest, self._road_edges.version
        road.offset, road.seen_us = record.offset, self._silence.clock_us
        self.roads[key] = road
        self._rows.changed(key)
        self._limits.changed(road_id, len(edges))
        newest = InUse.of(observation, time_us)
        if road.in_use is not None and not road.in_use.gives_way(newest, self._checks.closed_us):
            outcome.superseded += 1
            return
        road.in_use = newest if road.in_use is None else road.in_use.followed_by(newest)
        outcome.observations.append(observation)
        outcome.records.append((key, value))

    def _check_limits(self, road_id: str, edges: int, offset: int) -> None:
        refusal = self._limits.refusal(road_id, edges, offset)
        if refusal is not None:
            raise Rejected("too_many_roads", refusal)

    def _edges(self, checked: CheckedMessage, road: RoadState, digest: bytes) -> tuple[CoveredEdge, ...]:
        """The edges of a road; they are looked for when its line or the graph are new.

        Raises:
            Rejected: there are none, or too many.
        """
        message, road_edges = checked.message, self._road_edges
        if (road.line, road.graph_version) == (digest, road_edges.version):
            return road.edges
        try:
            edges = road_edges.find(message.road_id, checked.line)
        except TooLarge as error:
            raise Rejected("too_large", f"{message.road_id!r} cannot be put on the graph: {error}") from None
        if not edges:
            raise Rejected(
                "unknown_road",
                f"neither {message.road_id!r} nor its coordinates are on the graph, or not in the same place",
            )
        return edges

    def _observation(self, record: Record, checked: CheckedMessage, edges: tuple[CoveredEdge, ...]) -> RoadObservation:
        """Complete a message."""
        road_edges = self._road_edges
        return self._checks.complete(
            checked,
            checked.message.road_name or road_edges.name_of(edges),
            checked.line or road_edges.line_of(edges),
            edges,
            road_edges.version,
            (self.partition, record.offset),
            road_edges.free_flow_of(edges),
        )

    def _remember(self, road: RoadState, time_us: int) -> None:
        """Remember a time, and forget those that cannot come again."""
        insort(road.times_us, time_us)
        road.newest_us = max(road.newest_us, time_us)
        times_us = road.times_us
        first = max(bisect_left(times_us, road.newest_us - self._remember_us), len(times_us) - REMEMBERED_TIMES)
        if first > 0:
            road.forgotten_us = max(road.forgotten_us, times_us[first - 1])
            del times_us[:first]


def check_readable(record: WithHeaders) -> None:
    """Refuse a record that did not come out of its batch.

    Raises:
        Rejected: with the reason ``unreadable_record``.
    """
    reason = why_unreadable(record)
    if reason is not None:
        raise Rejected(UNREADABLE_REASON, reason)


def _seen_us(road: RoadState) -> int:
    return road.newest_us if road.seen_us < 0 else road.seen_us


def _found(times_us: list[int], time_us: int) -> list[int]:
    """The time itself, if it is among the sorted ones."""
    at = bisect_left(times_us, time_us)
    return times_us[at : at + 1]
