"""All zones of a partition: taps are counted in windows, and many are a surge. docs/riders.md has the rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush

from models.riders.taps import ZoneTap
from models.timestamps import rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.rules import MakeRules, Told, When
from trafficapp.riders.event_ids import id_of
from trafficapp.riders.rows import ZoneRows, reading_of, zones_of
from trafficapp.riders.telling import Telling
from trafficapp.riders.usual import UsualRules
from trafficapp.riders.zones import Became, OpenWindow, Zone, ZoneState, ZoneWindower
from trafficapp.settings import RiderSettings, Settings
from trafficapp.windows.clock import MICROSECONDS, EventClock

#: It is looked which zones are to be forgotten when the partition's clock begins another of these; who looks a second
#: time, since the process is a new one, finds no more.
_LOOK_US = 3600 * MICROSECONDS

_DAY_US = 86_400 * MICROSECONDS


@dataclass(frozen=True, slots=True)
class SurgeRules:
    """The rules for zones.

    Attributes:
        windower: which window a tap belongs to.
        usual: what is learned.
        telling: what is told.
        max_zones: that are known at once.
        forget_us: a zone that was silent for so long is forgotten.
    """

    windower: ZoneWindower
    usual: UsualRules
    telling: Telling
    max_zones: int
    forget_us: int


class PartitionZones:
    """The zones of a partition, a `trafficapp.feeds.rules.ReadRules`.

    Args:
        rules: for all zones.
        rows: that were remembered.
    """

    def __init__(self, rules: SurgeRules, rows: Mapping[bytes, bytes]) -> None:
        self._rules, self._windower = rules, rules.windower
        self._zones = zones_of(rows)
        self._open = {name: None for name, zone in sorted(self._zones.items()) if zone.state.windows}
        self._rows = ZoneRows()
        self._reading = reading_of(rows)
        #: Zones that wait for the feed to be read so far, by the broker's time.
        self._moved = [(zone.state.moves[0][0], name) for name, zone in self._zones.items() if zone.state.moves]
        heapify(self._moved)
        #: The hour of the partition's clock in which it was looked who is to be forgotten.
        self._looked = -1

    def apply(self, message: ZoneTap, when: When) -> Iterable[Told]:
        """Count a tap in its zone."""
        settled = self._settle(message.partition, when.record_us)
        followed = self._count(message, when)
        return (*settled, followed) if followed is not None else settled

    def read(self, feed: str, partition: int, partitions: int, time_us: int) -> Iterable[Told]:
        """Finish windows that waited for a partition of the feed to be read so far."""
        self._reading.partitions = partitions
        return self._settle(partition, time_us)

    def tick(self, clock_us: int) -> Iterable[Told]:
        """Finish windows of zones that are silent; forget zones that were for long."""
        for name in list(self._open):
            zone = self._zones[name]
            self._begin_clock(name, zone.state, clock_us)
            if (final := self._windower.close_silent(zone, clock_us)) is not None:
                self._rows.changed(name)
                yield from self._finish(name, zone, final)
        if (hour := clock_us // _LOOK_US) != self._looked:
            self._looked = hour
            self._forget(clock_us, hour * _LOOK_US - self._rules.forget_us)

    def changed_rows(self) -> Iterable[tuple[bytes, bytes | None]]:
        """What is to be remembered of zones that changed."""
        return self._rows.take(self._zones)

    def _settle(self, partition: int, time_us: int) -> tuple[Told, ...]:
        """Take in how far a partition of the feed was read; what follows for zones whose taps were read by then."""
        read_us = self._reading.heard(partition, time_us)
        self._rows.read(self._reading)
        if not self._moved or self._moved[0][0] >= read_us:
            return ()
        told: list[Told] = []
        while self._moved and self._moved[0][0] < read_us:
            _, name = heappop(self._moved)
            zone = self._zones.get(name)
            if zone is not None and zone.state.moves and zone.state.moves[0][0] < read_us:
                told += self._finish(name, zone, self._windower.close_settled(zone, read_us))
                self._rows.changed(name)
                if zone.state.moves:
                    heappush(self._moved, (zone.state.moves[0][0], name))
        return tuple(told)

    def _count(self, tap: ZoneTap, when: When) -> Told | None:
        name, rules = tap.zone, self._rules
        zone = self._zones.get(name) or self._meet(tap)
        if zone is None:
            return self._refused(tap, when, "too_many_zones", f"{rules.max_zones:,} zones are known")
        state = zone.state
        state.clock_us = when.clock_us
        if not state.newest_us:
            state.heard_us = when.record_us
        moves = len(state.moves)
        became = self._windower.add(zone, tap.time_us, when.record_us, id_of(tap.event_id))
        if state.moves and (len(state.moves) != moves or state.moves[0][0] == when.record_us):
            heappush(self._moved, (state.moves[0][0], name))
        if became is Became.LATE:
            self._rows.changed(name)
            return self._refused(tap, when, "late", f"the window of {rfc3339(tap.time_us)} of {name} is final")
        start_us = tap.time_us - tap.time_us % rules.telling.size_us
        self._rows.counted(name, start_us)
        self._open[name] = None
        if became is Became.FULL:
            detail = f"{name} has all the taps that are held of a window, {self._windower.max_taps:,}"
            return self._refused(tap, when, "zone_full", detail)
        window = state.windows[start_us]
        if window.surged_us or window.taps <= rules.usual.surge_taps:
            return None
        if window.limit < 0:
            self._look_up(zone, start_us, window)
        if window.taps <= window.limit:
            return None
        window.surged_us = tap.time_us
        return rules.telling.opened(name, state, start_us, window)

    def _meet(self, tap: ZoneTap) -> Zone | None:
        if len(self._zones) >= self._rules.max_zones:
            return None
        state = ZoneState(latitude=tap.latitude, longitude=tap.longitude)
        zone = self._zones[tap.zone] = Zone(state)
        return zone

    def _finish(self, name: str, zone: Zone, final: Iterator[tuple[int, OpenWindow]]) -> Iterator[Told]:
        """Tell windows that are final, and learn from them."""
        usual, telling = self._rules.usual, self._rules.telling
        for start_us, window in final:
            hour = self._look_up(zone, start_us, window)
            if window.surged_us:
                yield telling.resolved(name, zone.state, start_us, window)
            yield telling.window(name, zone.state, start_us, window)
            if zone.state.first_hour is None:
                zone.state.first_hour = hour
            self._rows.learned(name, usual.learn(zone.hours, hour, window.taps))
            self._rows.closed(name, start_us, zone.ids.pop(start_us))
        if not zone.state.windows:
            self._open.pop(name, None)

    def _look_up(self, zone: Zone, start_us: int, window: OpenWindow) -> int:
        """Say from when on a window is a surge, by what is known before its hour; the hour."""
        rules = self._rules.usual
        hour = rules.hour_of(start_us)
        if window.limit < 0:
            usual = rules.usual(zone.hours, zone.state.first_hour, hour)
            window.limit, window.usual = rules.limit(usual), rules.mean(usual)
        return hour

    def _forget(self, clock_us: int, until_us: int) -> None:
        for name, zone in list(self._zones.items()):
            self._begin_clock(name, zone.state, clock_us)
            if not zone.state.windows and zone.state.clock_us <= until_us:
                del self._zones[name]
                self._rows.forgotten(name, zone.hours)

    def _begin_clock(self, name: str, state: ZoneState, clock_us: int) -> None:
        """What was heard before the partition's clock showed anything is silent from its first tick on."""
        if not (state.clock_us and state.moved_clock_us):
            state.clock_us, state.moved_clock_us = state.clock_us or clock_us, state.moved_clock_us or clock_us
            self._rows.changed(name)

    def _refused(self, tap: ZoneTap, when: When, reason: str, detail: str) -> Told:
        return self._rules.telling.refused(tap, when.record_us, reason, detail)


def make_rules(settings: Settings) -> MakeRules:
    """What makes the zones of a partition."""
    rules = surge_rules(settings.riders)
    return lambda _, rows: PartitionZones(rules, rows)


def surge_rules(riders: RiderSettings) -> SurgeRules:
    """The rules that settings say."""
    clock = EventClock(
        size_us=riders.window_seconds * MICROSECONDS,
        lateness_us=round(riders.allowed_lateness_seconds * MICROSECONDS),
        idle_us=round(riders.idle_timeout_seconds * MICROSECONDS),
        future_us=round(riders.future_guard_seconds * MICROSECONDS),
        jump_us=round(riders.jump_seconds * MICROSECONDS),
    )
    usual = UsualRules(
        zone=time_zone(riders.time_zone),
        windows_an_hour=3600 // riders.window_seconds,
        weeks=riders.usual_weeks,
        least_weeks=riders.usual_least_weeks,
        surge_taps=riders.surge_taps,
        factor=Fraction(str(riders.surge_factor)),
    )
    telling = Telling(clock.size_us, riders.geohash_characters)
    windower = ZoneWindower(clock, riders.max_window_taps)
    return SurgeRules(windower, usual, telling, riders.max_zones, round(riders.keep_days * _DAY_US))
