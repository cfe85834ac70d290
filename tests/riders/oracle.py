"""What windows and surges of zones must be, worked out slowly and obviously from docs/riders.md and docs/windows.md.

It shares no code with the product, and keeps everything: each tap that was counted, each window that became final.
Whatever it is asked, it goes through all of that again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import NamedTuple

SECOND_US = 1_000_000


class Tap(NamedTuple):
    """A tap as its zone hears of it: what the broker's clock and the partition's clock showed stands beside it."""

    zone: str
    event_id: str
    time_us: int
    record_us: int
    clock_us: int
    partition: int = 0


class Read(NamedTuple):
    """A partition of the feed, which has so many, was read up to a time of the broker."""

    partition: int
    partitions: int
    time_us: int


class Tick(NamedTuple):
    """The partition's clock moved on."""

    clock_us: int


@dataclass(frozen=True)
class Limits:
    """The rules in numbers, seconds where nothing else is said."""

    size: int = 60
    lateness: float = 10
    idle: float = 90
    future: float = 60
    jump: float = 10
    surge_taps: int = 10
    factor: str = "2"
    weeks: int = 8
    least_weeks: int = 2
    zone: tzinfo = UTC


class Window(NamedTuple):
    """A final window."""

    zone: str
    start_us: int
    taps: int
    repeated: int
    usual: float | None
    limit: int
    opened_us: int | None


class Opened(NamedTuple):
    """A surge that began: with the entry of the log that did it."""

    number: int
    zone: str
    start_us: int
    taps: int


@dataclass
class Known:
    """All that a zone said."""

    heard_clock_us: int
    counted: list[tuple[int, str]] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    time_us: int | None = None
    waiting_us: int | None = None
    moved_clock_us: int = 0
    heard_us: int = 0
    moves: list[tuple[int, int]] = field(default_factory=list)
    settled_us: int | None = None
    final: list[Window] = field(default_factory=list)
    surges: dict[int, tuple[int, int, float | None]] = field(default_factory=dict)

    def open_starts(self, size_us: int) -> list[int]:
        final = {window.start_us for window in self.final}
        return sorted({at - at % size_us for at, _ in self.counted} - final)


class Oracle:
    """Goes through a log.

    Attributes:
        made: entry of the log and window that it made final.
        opened: surges, as they began.
        late: entries whose taps were late.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.made: list[tuple[int, Window]] = []
        self.opened: list[Opened] = []
        self.late: list[int] = []
        self._zones: dict[str, Known] = {}
        self._number = -1
        self._read: dict[int, int] = {}
        self._partitions = 0

    def read(self, log: Iterable[Tap | Tick | Read]) -> Oracle:
        for entry in log:
            self._number += 1
            if isinstance(entry, Tap):
                self._settle(entry.partition, entry.record_us)
                self._tap(entry)
            elif isinstance(entry, Read):
                self._partitions = entry.partitions
                self._settle(entry.partition, entry.time_us)
            else:
                self._tick(entry.clock_us)
        return self

    def _us(self, seconds: float) -> int:
        return round(seconds * SECOND_US)

    def _settle(self, partition: int, time_us: int) -> None:
        """What a tap said of its zone's time counts once every partition was read beyond that tap."""
        self._read[partition] = max(self._read.get(partition, 0), time_us)
        if not self._partitions or len(self._read) < self._partitions:
            return
        for name, zone in self._zones.items():
            moved = [to_us for record_us, to_us in zone.moves if record_us < min(self._read.values())]
            zone.settled_us = max([zone.settled_us or 0, *moved]) or None
            if zone.settled_us is not None:
                self._close(name, zone.settled_us - self._us(self.limits.lateness))

    def _tap(self, tap: Tap) -> None:
        zone = self._zones.setdefault(tap.zone, Known(tap.clock_us))
        zone.heard_clock_us = tap.clock_us
        if zone.time_us is None:
            zone.heard_us = tap.record_us
        size_us, jump_us = self._us(self.limits.size), self._us(self.limits.jump)
        start_us = tap.time_us - tap.time_us % size_us
        of_window = [event_id for at, event_id in zone.counted if at - at % size_us == start_us]
        is_open = start_us in zone.open_starts(size_us)
        is_again = is_open and tap.event_id in of_window
        if self._is_far(zone, tap.time_us) and zone.waiting_us is not None and not is_again:
            waiting_us = zone.waiting_us
            if tap.time_us != waiting_us and tap.time_us >= waiting_us - jump_us:
                to_us = waiting_us if zone.time_us is None else min(waiting_us, tap.time_us)
                self._move(zone, to_us, tap.record_us)
        ends_us = start_us + size_us
        is_past = zone.settled_us is not None and ends_us + self._us(self.limits.lateness) <= zone.settled_us
        newest_final = max((window.start_us for window in zone.final), default=None)
        is_closed = not is_open and newest_final is not None and start_us <= newest_final
        if is_past or is_closed:
            self.late.append(self._number)
            return
        if is_again:
            zone.repeated.append(start_us)
            return
        zone.counted.append((tap.time_us, tap.event_id))
        if self._is_far(zone, tap.time_us):
            zone.waiting_us = tap.time_us
        elif zone.time_us is not None and tap.time_us > zone.time_us:
            self._move(zone, tap.time_us, tap.record_us)
        taps = len(of_window) + 1
        limit, usual = self._limit(zone, start_us)
        if start_us not in zone.surges and taps > self.limits.surge_taps and taps > limit:
            zone.surges[start_us] = (tap.time_us, limit, usual)
            self.opened.append(Opened(self._number, tap.zone, start_us, taps))

    def _is_far(self, zone: Known, time_us: int) -> bool:
        return zone.time_us is None or time_us - zone.time_us > self._us(self.limits.jump)

    def _move(self, zone: Known, time_us: int, record_us: int) -> None:
        zone.time_us, zone.waiting_us, zone.moved_clock_us = time_us, None, zone.heard_clock_us
        zone.moves.append((record_us, time_us))

    def _close(self, name: str, until_us: int) -> None:
        """Windows that end by a time are final, in the order of time."""
        zone, size_us = self._zones[name], self._us(self.limits.size)
        for start_us in zone.open_starts(size_us):
            if start_us + size_us > until_us:
                continue
            taps = sum(at - at % size_us == start_us for at, _ in zone.counted)
            surge = zone.surges.get(start_us)
            limit, usual = surge[1:] if surge is not None else self._limit(zone, start_us)
            opened_us = None if surge is None else surge[0]
            window = Window(name, start_us, taps, zone.repeated.count(start_us), usual, limit, opened_us)
            zone.final.append(window)
            self.made.append((self._number, window))

    def _tick(self, clock_us: int) -> None:
        size_us = self._us(self.limits.size)
        for name, zone in self._zones.items():
            zone.heard_clock_us = zone.heard_clock_us or clock_us
            zone.moved_clock_us = zone.moved_clock_us or clock_us
            silent_us = clock_us - zone.heard_clock_us
            starts = zone.open_starts(size_us)
            if not starts or silent_us < self._us(self.limits.idle):
                continue
            if zone.time_us is None:
                assert zone.waiting_us is not None
                lead_us = zone.waiting_us - zone.waiting_us % size_us - zone.heard_us
                lead_us = 0 if lead_us <= self._us(self.limits.jump) else min(lead_us, self._us(self.limits.future))
                if silent_us >= self._us(self.limits.idle) + lead_us:
                    self._move(zone, zone.waiting_us, 0)
            last_us, time_us = starts[-1], zone.time_us
            if time_us is not None and last_us > time_us:
                lead_us = min(last_us - time_us, self._us(self.limits.future))
                if clock_us - zone.moved_clock_us >= self._us(self.limits.idle) + lead_us:
                    waits = zone.waiting_us
                    there = waits is not None and waits - waits % size_us == last_us
                    zone.time_us = waits if there else last_us
                    zone.waiting_us, zone.moved_clock_us = None, clock_us
            if zone.time_us is not None:
                # of a silent zone everything was read
                zone.settled_us = zone.time_us
                zone.moves.clear()
                self._close(name, zone.time_us - zone.time_us % size_us + size_us)

    # ------------------------------------------------------------------ what is usual

    def _limit(self, zone: Known, start_us: int) -> tuple[int, float | None]:
        """More taps are a surge, and what is usual."""
        limits, hour = self.limits, self._wall_hour(start_us)
        if not zone.final:
            return limits.surge_taps, None
        first = self._wall_hour(min(window.start_us for window in zone.final))
        seen = [hour - timedelta(days=7 * number) for number in range(1, limits.weeks + 1)]
        seen = [one for one in seen if one > first]
        if len(seen) < limits.least_weeks:
            return limits.surge_taps, None
        taps = sum(window.taps for window in zone.final if self._wall_hour(window.start_us) in seen)
        mean = Fraction(taps, len(seen) * 3600 // limits.size)
        whole = 0
        while whole + 1 <= Fraction(limits.factor) * mean:
            whole += 1
        return max(limits.surge_taps, whole), round(float(mean), 2)

    def _wall_hour(self, time_us: int) -> datetime:
        """The hour on the clocks of the city, without a zone."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us)
        return moment.astimezone(self.limits.zone).replace(tzinfo=None, minute=0, second=0, microsecond=0)
