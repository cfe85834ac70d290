"""The clock of an inner partition: it measures silence, and is told on by those who read the feeds.

Each partition of each feed sends ticks into all inner partitions, in order with the messages that it sends there: at
such a time everything that had come was read. The clock follows the one that is furthest behind, so a backlog anywhere
makes nobody look silent; and no tick moves it by more than it would when all goes well, so an outage does neither.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from msgspec import Struct

#: The most that the clock moves at once, in intervals of ticks.
_MOST_INTERVALS = 2


class Tick(Struct, frozen=True, array_like=True):
    """A tick.

    Attributes:
        feed: whose partition it is of.
        partition: its number.
        partitions: how many the feed has.
        time_us: when everything that had come was read, microseconds since the epoch.
    """

    feed: str
    partition: int
    partitions: int
    time_us: int


class ClockState(Struct, array_like=True):
    """What is remembered of a clock.

    Attributes:
        clock_us: what it shows, microseconds; it may be behind real time. 0 before it was told anything.
        least_us: the time of the furthest behind when it was last told on.
        heard: by feed, the newest time of each of its partitions; 0 where there was no tick.
    """

    clock_us: int = 0
    least_us: int = 0
    heard: dict[str, list[int]] = {}


class SilenceClock:
    """The clock.

    Args:
        feeds: names of those who send ticks.
        tick_seconds: how often they do.
        state: from where to go on.
    """

    def __init__(self, feeds: Collection[str], tick_seconds: float, state: ClockState | None = None) -> None:
        self.state = ClockState() if state is None else state
        self._most_us = round(_MOST_INTERVALS * tick_seconds * 1e6)
        self._feeds = frozenset(feeds)
        # what a feed said that does not send any more holds nothing up
        self.state.heard = {name: times for name, times in self.state.heard.items() if name in self._feeds}

    @property
    def clock_us(self) -> int:
        """What it shows."""
        return self.state.clock_us

    def take(self, tick: Tick) -> bool:
        """Take a tick in; whether the clock moved."""
        if tick.feed not in self._feeds or not 0 <= tick.partition < tick.partitions:
            return False
        times = self.state.heard.setdefault(tick.feed, [])
        times += [0] * (tick.partitions - len(times))
        times[tick.partition] = max(times[tick.partition], tick.time_us)
        heard = self.state.heard
        if len(heard) < len(self._feeds):
            return False
        least_us = min(map(min, heard.values()))
        if least_us <= self.state.least_us:
            return False
        before_us, self.state.least_us = self.state.least_us, least_us
        self.state.clock_us = self.state.clock_us + min(least_us - before_us, self._most_us) if before_us else least_us
        return True


encode_tick = msgspec.json.Encoder().encode
decode_tick = msgspec.json.Decoder(Tick).decode
