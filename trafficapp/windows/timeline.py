"""How the time of one source moves, and which of its windows are final, whatever a source is and whatever is counted.

A source is what has a clock of its own: a camera, a zone in which riders tap. Of what it says beyond its time at most
one waits to be confirmed: `Source.waiting_us` is its time, 0 when none does. docs/windows.md has the rules in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from trafficapp.windows.clock import EventClock

#: The time that makes the next window final, when none is open: it never comes.
NEVER_US = 1 << 62

Window = TypeVar("Window")


class Source(Protocol):
    """What is known of the time of a source; microseconds.

    Attributes:
        newest_us: its time, 0 before anything it said was confirmed.
        clock_us: the partition's clock at its newest record.
        moved_clock_us: the partition's clock when its time was moved last.
        heard_us: the broker's time of its newest record while it has no time.
        waiting_us: the time that waits to be confirmed, 0 when none does.
        closed_until_us: windows that end here or before are final.
        final_us: its time that makes its oldest open window final.
    """

    newest_us: int
    clock_us: int
    moved_clock_us: int
    heard_us: int
    waiting_us: int
    closed_until_us: int
    final_us: int


class Windowed(Source, Protocol[Window]):
    """A source with its open windows by their start."""

    windows: dict[int, Window]


_Source = TypeVar("_Source", bound=Source)


class Timeline(Generic[_Source]):
    """How the time of a source moves.

    What else is remembered of what waits is the source's own: a subclass keeps it, or forgets it.
    """

    def wait(self, source: _Source, time_us: int) -> None:
        """Have a time wait; another one that did waits no more."""
        source.waiting_us = time_us

    def wait_no_more(self, source: _Source) -> None:
        """Nothing waits."""
        source.waiting_us = 0

    def count_waiting(self, source: _Source) -> None:
        """What waits is believed: its time is about to become that of the source."""

    def move(self, source: _Source, time_us: int) -> None:
        """Move the time; what waited waits no more."""
        source.newest_us, source.moved_clock_us = time_us, source.clock_us
        self.wait_no_more(source)

    def move_or_wait(self, source: _Source, time_us: int, jump_us: int) -> None:
        """Take in a time that a source said."""
        if time_us - source.newest_us > jump_us:
            self.confirm(source, time_us, jump_us)
        if time_us - source.newest_us > jump_us:
            self.wait(source, time_us)
        elif time_us > source.newest_us:
            self.move(source, time_us)

    def confirm(self, source: _Source, time_us: int, jump_us: int) -> None:
        """Move the time, if the one that waits is confirmed by one that is far ahead as well.

        The earlier one of both is believed: if the one that waited has a wrong clock, the other one is not late.
        Of a source without a time nothing is final yet that could be wrong.
        """
        waiting_us = source.waiting_us
        if not waiting_us or time_us == waiting_us or time_us < waiting_us - jump_us:
            return
        if source.newest_us and time_us < waiting_us:
            self.move(source, time_us)
            return
        self.believe(source)

    def believe(self, source: _Source) -> None:
        """Move the time to the one that waits."""
        self.count_waiting(source)
        self.move(source, source.waiting_us)

    def move_to_last(self, source: _Source, last_us: int, partition_clock_us: int, clock: EventClock) -> bool:
        """Move the time of a silent source to the last of its open windows, once it may have got there.

        Args:
            source: its state.
            last_us: start of that window, which lies beyond the source's time.
            partition_clock_us: as of the last tick.
            clock: the rules.

        Returns:
            whether it may have got there.
        """
        if not source.newest_us:
            return False
        lead_us = min(last_us - source.newest_us, clock.future_us)
        if partition_clock_us - source.moved_clock_us < clock.idle_us + lead_us:
            return False
        waits_there = clock.window_start(source.waiting_us) == last_us
        source.newest_us = source.waiting_us if waits_there else last_us
        source.moved_clock_us = partition_clock_us
        self.wait_no_more(source)
        return True

    def silent_until_us(
        self, source: _Source, windows: dict[int, Window], partition_clock_us: int, clock: EventClock
    ) -> int | None:
        """Up to where a silence makes windows final; None while a source with open windows is not silent for long.

        Those that lie beyond the source's time stay for as long as the source may still be on its way there.
        """
        silent_us = partition_clock_us - source.clock_us
        if not windows or silent_us < clock.idle_us:
            return None
        if not source.newest_us and has_begun(source, silent_us, clock):
            self.believe(source)
        last_us = max(windows)
        if last_us > source.newest_us and not self.move_to_last(source, last_us, partition_clock_us, clock):
            last_us = clock.window_start(source.newest_us)
        return last_us + clock.size_us


def has_begun(source: Source, silent_us: int, clock: EventClock) -> bool:
    """Whether a silent source without a time may have got to the one that waits."""
    lead_us = clock.window_start(source.waiting_us) - source.heard_us
    return lead_us <= clock.jump_us or silent_us >= clock.idle_us + min(lead_us, clock.future_us)


def is_final(start_us: int, time_us: int, closed_until_us: int, *, is_open: bool, clock: EventClock) -> bool:
    """Whether a window takes nothing more, so that what comes for it is late.

    Args:
        start_us: start of the window.
        time_us: the source's time.
        closed_until_us: windows of it that end here or before were taken out.
        is_open: whether something was counted in the window that was not taken out yet.
        clock: the rules.
    """
    return start_us + clock.size_us + clock.lateness_us <= time_us or (
        not is_open and start_us + clock.size_us <= closed_until_us
    )


def next_final_us(source: Source, start_us: int, clock: EventClock) -> int:
    """The source's time that makes its oldest open window final, when another one is opened."""
    return min(source.final_us or NEVER_US, start_us + clock.size_us + clock.lateness_us)


def take_final(source: Windowed[Window], limit_us: int, clock: EventClock) -> Iterator[tuple[int, Window]]:
    """Take out the windows that end by a time, oldest first, each with its start. Nothing may come in between."""
    size_us, windows = clock.size_us, source.windows
    final = sorted(start for start in windows if start + size_us <= limit_us)
    left = min((start for start in windows if start + size_us > limit_us), default=NEVER_US)
    source.final_us = left + size_us + clock.lateness_us
    for start_us in final:
        source.closed_until_us = max(source.closed_until_us, start_us + size_us)
        yield start_us, windows.pop(start_us)
