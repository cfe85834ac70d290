"""What is known of a zone, and how a tap is counted in it: by the rules of time and final windows that cameras have.

docs/windows.md has those rules in words; a zone is a camera there, and a tap a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from msgspec import Struct
from msgspec import field as struct_field

from trafficapp.riders.event_ids import EventIds
from trafficapp.windows.clock import EventClock
from trafficapp.windows.timeline import Timeline, is_final, next_final_us, take_final


class OpenWindow(Struct, array_like=True):
    """A window that still takes taps.

    Attributes:
        taps: so far, each once.
        repeated: that came again.
        limit: more taps are a surge; -1 until it is looked up.
        usual: the usual number of taps, where it is known.
        surged_us: time of the tap that opened a surge, 0 when there is none.
    """

    taps: int = 0
    repeated: int = 0
    limit: int = -1
    usual: float | None = None
    surged_us: int = 0


class ZoneState(Struct, array_like=True):
    """A zone, as it stands in its row: a `trafficapp.windows.timeline.Source`, and what is its own.

    Attributes:
        windows: open windows by their start.
        latitude, longitude: of the tap by which it was met, degrees.
        first_hour: local hour of its first final window; None before there is one.
        settled_us: its time as far as every partition of the feed was read up to the tap that moved it there.
        moves: broker's times of taps that moved its time beyond that, and to where; both ascend.
    """

    newest_us: int = 0
    clock_us: int = 0
    moved_clock_us: int = 0
    heard_us: int = 0
    waiting_us: int = 0
    closed_until_us: int = 0
    final_us: int = 0
    windows: dict[int, OpenWindow] = struct_field(default_factory=dict)
    latitude: float = 0.0
    longitude: float = 0.0
    first_hour: int | None = None
    settled_us: int = 0
    moves: list[tuple[int, int]] = struct_field(default_factory=list)


class ZoneTime(Timeline[ZoneState]):
    """The time of a zone."""


TIME = ZoneTime()


@dataclass(slots=True)
class Zone:
    """A zone that is known.

    Attributes:
        state: its row.
        ids: of the taps of each open window.
        hours: what was learned of each hour of the week, `trafficapp.riders.usual`.
    """

    state: ZoneState
    ids: dict[int, EventIds] = field(default_factory=dict)
    hours: dict[int, bytes] = field(default_factory=dict)


class Became(Enum):
    """What became of a tap."""

    COUNTED = "counted"
    REPEATED = "repeated"
    LATE = "late"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ZoneWindower:
    """Which window a tap belongs to, and which windows are final.

    Attributes:
        clock: the rules of time.
        max_taps: of a window.
    """

    clock: EventClock
    max_taps: int

    def add(self, zone: Zone, time_us: int, record_us: int, one: bytes) -> Became:
        """Count a tap.

        Args:
            zone: where; its clock and the time it was heard are set.
            time_us: when.
            record_us: the broker's time.
            one: the tap's id.
        """
        before_us = zone.state.newest_us
        became = self._add(zone, time_us, one)
        if zone.state.newest_us > before_us:
            self._moved(zone.state, record_us)
        return became

    def _moved(self, state: ZoneState, record_us: int) -> None:
        """Remember by which tap the zone's time moved; only where the watermark came into another window."""
        moves, time_us = state.moves, state.newest_us
        size_us, lateness_us = self.clock.size_us, self.clock.lateness_us
        last_us = moves[-1][1] if moves else state.settled_us
        if (time_us - lateness_us) // size_us == (last_us - lateness_us) // size_us and not (
            moves and record_us < moves[-1][0]
        ):
            return
        while moves and moves[-1][0] >= record_us:
            moves.pop()
        moves.append((record_us, time_us))

    def _add(self, zone: Zone, time_us: int, one: bytes) -> Became:
        state, jump_us = zone.state, self.clock.jump_us
        start_us = time_us - time_us % self.clock.size_us
        ids = zone.ids.get(start_us)
        is_repeated = ids is not None and one in ids
        if state.waiting_us and not is_repeated and time_us - state.newest_us > jump_us:
            TIME.confirm(state, time_us, jump_us)
        if is_final(start_us, state.settled_us, state.closed_until_us, is_open=ids is not None, clock=self.clock):
            return Became.LATE
        if is_repeated:
            state.windows[start_us].repeated += 1
            return Became.REPEATED
        if ids is None:
            state.final_us = next_final_us(state, start_us, self.clock)
            state.windows[start_us] = OpenWindow()
            ids = zone.ids[start_us] = EventIds()
        became = Became.COUNTED
        if len(ids) < self.max_taps:
            ids.add(one)
            state.windows[start_us].taps += 1
        else:
            became = Became.FULL
        # also of one that finds no room, so that windows become final and make some
        if time_us - state.newest_us > jump_us:
            TIME.wait(state, time_us)
        elif time_us > state.newest_us:
            TIME.move(state, time_us)
        return became

    def close_settled(self, zone: Zone, read_us: int) -> Iterator[tuple[int, OpenWindow]]:
        """Take out windows that are final by the zone's time, oldest first, each with its start.

        Args:
            zone: which one.
            read_us: every partition of the feed was read to here, by the broker's time.
        """
        state = zone.state
        while state.moves and state.moves[0][0] < read_us:
            state.settled_us = state.moves.pop(0)[1]
        if state.settled_us < state.final_us:
            return iter(())
        return take_final(state, state.settled_us - self.clock.lateness_us, self.clock)

    def close_silent(self, zone: Zone, clock_us: int) -> Iterator[tuple[int, OpenWindow]] | None:
        """Likewise those that are final since the zone is silent, of which all was read; None while it is not silent.

        Args:
            zone: which one.
            clock_us: of the partition.
        """
        state = zone.state
        until_us = TIME.silent_until_us(state, state.windows, clock_us, self.clock)
        if until_us is None:
            return None
        state.settled_us = state.newest_us
        state.moves.clear()
        return take_final(state, until_us, self.clock)
