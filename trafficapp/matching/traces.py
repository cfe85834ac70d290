"""What is remembered of vehicles: one row of numbers each, so that a run of many is computed at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import Floats, Integers

#: A fix has so many edges at most that are remembered, and so many fixes wait for it to be settled where they were:
#: of vehicles that speak every second, those of five seconds.
CANDIDATES = 6
WAITING = 6

(
    #: Of the newest fix that was taken: when, where, how fast; NaN for a speed that was not told.
    TIME,
    EAST,
    NORTH,
    SPEED,
    #: How many edges are possible for it, how many fixes are remembered with it, and in which of the places for
    #: those it is; those before it are in those before, and the last place is before the first.
    COUNT,
    DEPTH,
    NEWEST,
    #: Whether a fix was put aside after it since no way leads there.
    ASIDE,
    #: When the oldest fix was that is not settled; inf for none.
    OLDEST,
    #: The clock when the vehicle was heard last.
    HEARD,
    #: Of the newest fix that is settled: when, where. An edge of -1 is none.
    SETTLED,
    SETTLED_EDGE,
    SETTLED_OFFSET,
    #: Of the newest fix of all: when, where.
    SEEN,
    SEEN_EAST,
    SEEN_NORTH,
    #: Fixes in a row against the direction of an edge; when and where the first was; whether that was told.
    AGAINST,
    AGAINST_SINCE,
    AGAINST_EAST,
    AGAINST_NORTH,
    AGAINST_TOLD,
) = range(21)
_HEADER = 21
#: Of the numbers above: rows that have others are not read.
_FORM = 2
#: Scores of the possible edges of the newest fix.
SCORES = _HEADER
#: When each remembered fix was, and how fast the vehicle was.
TIMES = SCORES + CANDIDATES
SPEEDS = TIMES + WAITING
#: Of each remembered fix, for each possible edge of the newest one: edge, offset, distance on the way that leads there.
PATHS = SPEEDS + WAITING
PLACE = 3
_WIDTH = PATHS + WAITING * CANDIDATES * PLACE

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, bytes]).decode


class Traces:
    """Rows of vehicles.

    Args:
        graph_version: of the road graph that edges are of; rows of another are not read.
    """

    def __init__(self, graph_version: str) -> None:
        self._version = f"{graph_version}/{_FORM}"
        self._rows: Floats = np.tile(_nothing(), (64, 1))
        self._slots: dict[str, int] = {}
        self._names: list[str] = [""] * 64
        self._free = list(range(63, -1, -1))

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, vehicle: str) -> bool:
        return vehicle in self._slots

    def slots_of(self, vehicles: Sequence[str]) -> Integers:
        """Where the rows of vehicles are; those that have none get one."""
        known = self._slots
        try:
            return np.array([known[vehicle] for vehicle in vehicles], np.int64)
        except KeyError:
            return np.array([known[vehicle] if vehicle in known else self._begin(vehicle) for vehicle in vehicles])

    def names_of(self, slots: Integers) -> list[str]:
        """The vehicles of rows."""
        names = self._names
        return [names[slot] for slot in slots.tolist()]

    def take(self, slots: Integers) -> Floats:
        """Copies of rows."""
        return self._rows[slots]

    def put(self, slots: Integers, rows: Floats) -> None:
        """Replace rows."""
        self._rows[slots] = rows

    def silent_since(self, clock_us: int) -> Integers:
        """Rows of vehicles that were not heard after a time and have fixes that are not settled."""
        rows = self._rows
        return ((rows[:, OLDEST] < np.inf) & (rows[:, HEARD] <= clock_us)).nonzero()[0]

    def forget(self, vehicles: Iterable[str]) -> None:
        """Forget vehicles."""
        for vehicle in vehicles:
            slot = self._slots.pop(vehicle, None)
            if slot is not None:
                self._rows[slot] = _nothing()
                self._names[slot] = ""
                self._free.append(slot)

    def encode(self, vehicles: Sequence[str]) -> list[bytes]:
        """The rows of vehicles as msgpack: version of the graph, and the numbers that count.

        Raises:
            KeyError: there is none of one of them.
        """
        slots = [self._slots[vehicle] for vehicle in vehicles]
        rows = self._rows[slots]
        counting = _counting(rows)
        numbers = rows[counting].tobytes()
        ends = (counting.sum(axis=1).cumsum() * rows.itemsize).tolist()
        return [_encode((self._version, numbers[begin:end])) for begin, end in pairwise([0, *ends])]

    def decode(self, vehicle: str, encoded: bytes) -> bool:
        """Go on with a row.

        Returns:
            whether it is of this graph; if not, the vehicle begins anew.
        """
        version, numbers = _decode(encoded)
        if version != self._version:
            return False
        read = np.frombuffer(numbers)
        row = _nothing()
        row[:_HEADER] = read[:_HEADER]
        row[_counting(row[None])[0]] = read
        self._rows[self.slots_of([vehicle])[0]] = row
        return True

    def _begin(self, vehicle: str) -> int:
        if not self._free:
            there = len(self._rows)
            self._rows = np.concatenate([self._rows, np.tile(_nothing(), (there, 1))])
            self._names += [""] * there
            self._free = list(range(2 * there - 1, there - 1, -1))
        slot = self._slots[vehicle] = self._free.pop()
        self._names[slot] = vehicle
        return slot


def _nothing() -> Floats:
    """The row of a vehicle that nothing is known of."""
    row = np.zeros(_WIDTH)
    row[OLDEST], row[SETTLED_EDGE], row[SCORES:TIMES] = np.inf, -1, -np.inf
    return row


def _counting(rows: Floats) -> npt.NDArray[np.bool_]:
    """Which numbers of rows say something."""
    counting = np.ones(rows.shape, bool)
    possible = np.arange(CANDIDATES) < rows[:, COUNT, None]
    used = (rows[:, NEWEST, None] - np.arange(WAITING)) % WAITING < rows[:, DEPTH, None]
    counting[:, SCORES:TIMES], counting[:, TIMES:SPEEDS], counting[:, SPEEDS:PATHS] = possible, used, used
    paths = counting[:, PATHS:].reshape(-1, WAITING, CANDIDATES, PLACE)
    paths[:] = (used[:, :, None] & possible[:, None])[..., None]
    return counting
