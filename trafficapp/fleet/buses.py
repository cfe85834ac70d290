"""Vehicles of public transport on the road graph: what they say of the speeds of roads, and nothing else.

Where they are, on which route and how late is told elsewhere (`trafficapp.transit`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from models.fleet.fixes import Fix
from models.fleet.travels import Travel
from trafficapp.feeds.rules import When
from trafficapp.fleet.matching import FleetRoads, PartitionMatching
from trafficapp.fleet.travels import Driving, TravelRule

#: Their rows stand beside those of cars, which may have the same ids: no text begins with this byte.
_PREFIX = b"\xfe"

#: What matters of them is the edge that they are on.
_FORGET_US = 3_600_000_000


class _Bus(Struct, array_like=True):
    """What is remembered of one; its state row.

    Attributes:
        heard_us: the partition's clock when it was heard last.
        newest_us: time of its newest fix.
        trace: what matching remembers.
        driving: and of the edge that it drives on.
    """

    heard_us: int
    newest_us: int
    trace: bytes | None = None
    driving: Driving | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Bus).decode


class PartitionBuses:
    """Those of a partition.

    Args:
        roads: the graph.
        travels: what is told of edges that they drove.
        rows: what was to be remembered of the partition; only rows of buses are read.
    """

    def __init__(self, roads: FleetRoads, travels: TravelRule, rows: Mapping[bytes, bytes]) -> None:
        self._matching = PartitionMatching(roads, travels)
        read = [(key[1:].decode(), _decode(row)) for key, row in rows.items() if is_bus_row(key)]
        #: The one that was heard last stands last.
        self._buses = OrderedDict(sorted(read, key=lambda one: one[1].heard_us))
        for vehicle_id, bus in self._buses.items():
            if bus.trace is not None:
                self._matching.go_on(vehicle_id, bus.trace, bus.driving)
        self._changed: dict[str, None] = {}
        self._clock_us = 0

    def take(self, fix: Fix, when: When) -> None:
        """Take a fix in, to be matched with the run."""
        vehicle_id, self._clock_us = fix.device_id, when.clock_us
        bus = self._buses.get(vehicle_id)
        if bus is None:
            bus = self._buses[vehicle_id] = _Bus(when.clock_us, 0)
        bus.heard_us = when.clock_us
        self._buses.move_to_end(vehicle_id)
        self._changed[vehicle_id] = None
        if fix.time_us > bus.newest_us:
            bus.newest_us = fix.time_us
            self._matching.take(fix, when.record_us, fix.vehicle_type)

    def finish(self) -> list[Travel]:
        """Match the fixes of a run; what was driven."""
        return self._matching.match(self._clock_us).travels

    def tick(self, clock_us: int) -> Iterable[Travel]:
        """Settle where silent ones were, and forget who was silent for long; what was driven."""
        silent, travels = self._matching.settle(clock_us)
        self._changed.update(dict.fromkeys(silent))
        while self._buses:
            vehicle_id, bus = next(iter(self._buses.items()))
            if bus.heard_us > clock_us - _FORGET_US:
                break
            del self._buses[vehicle_id]
            self._matching.forget(vehicle_id)
            self._changed[vehicle_id] = None
        return travels

    def erase(self, vehicle_id: str) -> None:
        """Forget a bus."""
        if self._buses.pop(vehicle_id, None) is not None:
            self._matching.forget(vehicle_id)
            self._changed[vehicle_id] = None

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Each that changed since the last call."""
        changed, self._changed = self._changed, {}
        traces = self._matching.remembered(changed)
        for vehicle_id in changed:
            bus = self._buses.get(vehicle_id)
            if bus is not None:
                bus.trace, bus.driving = traces.get(vehicle_id, (None, None))
            yield _PREFIX + vehicle_id.encode(), None if bus is None else _encode(bus)


def is_bus_row(key: bytes) -> bool:
    """Whether a row is one of a vehicle of public transport."""
    return key.startswith(_PREFIX)
