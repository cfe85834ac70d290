"""Logs of taps for the rules: what they tell, put beside what an oracle says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from models.dead_letters import DeadLetter, decode_dead_letter
from models.riders.taps import ZoneTap
from models.riders.windows import RiderWindow, SurgeAlert
from models.timestamps import epoch_us
from tests.riders.oracle import Limits, Opened, Read, Tap, Tick, Window
from trafficapp.feeds.rules import Told, When
from trafficapp.riders.cells import station_of
from trafficapp.riders.surges import PartitionZones, surge_rules
from trafficapp.riders.telling import RIDER_WINDOWS, SURGE_ALERTS
from trafficapp.settings import RiderSettings
from trafficapp.topics import DEAD_LETTERS

decode_window = msgspec.json.Decoder(RiderWindow).decode
decode_surge = msgspec.json.Decoder(SurgeAlert).decode


def settings_of(limits: Limits) -> RiderSettings:
    """The settings that say the same."""
    return RiderSettings(
        time_zone=str(limits.zone),
        window_seconds=limits.size,
        allowed_lateness_seconds=limits.lateness,
        idle_timeout_seconds=limits.idle,
        future_guard_seconds=limits.future,
        jump_seconds=limits.jump,
        surge_taps=limits.surge_taps,
        surge_factor=float(limits.factor),
        usual_weeks=limits.weeks,
        usual_least_weeks=limits.least_weeks,
    )


@dataclass
class Applied:
    """What the rules tell of a log, by the entry that led to it."""

    riders: RiderSettings
    rows: dict[bytes, bytes] = field(default_factory=dict)
    windows: list[tuple[int, RiderWindow]] = field(default_factory=list)
    surges: list[tuple[int, SurgeAlert]] = field(default_factory=list)
    letters: list[tuple[int, DeadLetter]] = field(default_factory=list)
    number: int = -1

    def __post_init__(self) -> None:
        self.rules = self.anew()

    def anew(self) -> PartitionZones:
        """The rules as another process has them."""
        self.rules = PartitionZones(surge_rules(self.riders), dict(self.rows))
        return self.rules

    def apply(self, *log: Tap | Tick | Read) -> None:
        for entry in log:
            self.number += 1
            if isinstance(entry, Tick):
                self._take(self.rules.tick(entry.clock_us))
            elif isinstance(entry, Read):
                self._take(self.rules.read("rider-taps", *entry))
            else:
                self._take(self.rules.apply(zone_tap(entry, self.number), When(entry.record_us, entry.clock_us)))

    def write(self) -> Mapping[bytes, bytes]:
        """Write the rows that changed."""
        for key, row in self.rules.changed_rows():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        return self.rows

    def made(self) -> list[tuple[int, Window]]:
        """Final windows as the oracle has them."""
        opened = {alert.alert_id: epoch_us(alert.opened_at) for _, alert in self.surges}
        resolved = {(alert.zone, alert.window_start_ms): alert for _, alert in self.surges if alert.resolved_at}
        found = []
        for number, row in self.windows:
            start_us = epoch_us(row.window_start)
            alert = resolved.get((row.zone, start_us // 1000))
            assert (alert is not None) == row.is_surge
            if alert is not None:
                assert (alert.tap_count, alert.limit, alert.usual_taps) == (row.tap_count, row.limit, row.usual_taps)
            opened_us = None if alert is None else opened[alert.alert_id]
            counted = (row.tap_count, row.repeated, row.usual_taps, row.limit)
            found.append((number, Window(row.zone, start_us, *counted, opened_us)))
        return found

    def opened(self) -> list[Opened]:
        """Surges as they began."""
        began = [(number, alert) for number, alert in self.surges if alert.state == "opened"]
        return [Opened(number, one.zone, one.window_start_ms * 1000, one.tap_count) for number, one in began]

    def _take(self, told: Iterable[Told]) -> None:
        for record in told:
            topic, key, value = record.topic, record.key, record.value
            assert value is not None
            if topic == RIDER_WINDOWS:
                self.windows.append((self.number, decode_window(value)))
                assert key == self.windows[-1][1].zone.encode()
            elif topic == SURGE_ALERTS:
                self.surges.append((self.number, decode_surge(value)))
                assert key == self.surges[-1][1].zone.encode()
            else:
                assert topic == DEAD_LETTERS
                self.letters.append((self.number, decode_dead_letter(value)))


def zone_tap(tap: Tap, offset: int = 0) -> ZoneTap:
    """A tap as intake sends it on."""
    station_id = station_of(tap.zone) or "s1"
    return ZoneTap(tap.zone, tap.event_id, tap.time_us, station_id, 44.4993, 11.3266, tap.partition, offset)
