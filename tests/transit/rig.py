"""A partition of vehicles to be told things, and what it tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from models.transit.inner import Position, RouteOf
from tests.transit.oracle import Event, Said
from trafficapp.feeds.rules import Told, When
from trafficapp.settings.quality import MovementSettings
from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.partition import TransitPartition
from trafficapp.transit.topics import LIVE_VEHICLE_TABLE

VEHICLES, ROUTES = "vehicles", "routes"
ALERTS = frozenset({"delay_alerts", "breakdown_alerts", "quality_alerts"})


def position(said: Said) -> Position:
    return Position(
        said.vehicle,
        said.type,
        said.latitude,
        said.longitude,
        said.passengers,
        said.status,  # type: ignore[arg-type]
        said.at_us,
    )


class Rig:
    """Rules with rows that outlive them."""

    def __init__(self, settings: TransitSettings | None = None, movement: MovementSettings | None = None) -> None:
        self.settings, self.movement = settings or TransitSettings(), movement or MovementSettings()
        self.rows: dict[bytes, bytes] = {}
        self.told: list[Told] = []
        self.restart()

    def restart(self) -> None:
        """A new process, from what was to be remembered."""
        self.rules = TransitPartition(self.settings, self.movement, VEHICLES, ROUTES, dict(self.rows))

    def take(self, event: Event | RouteOf, record_us: int = 0) -> list[Told]:
        """What follows from one event."""
        if isinstance(event, Said):
            told = self.rules.apply(position(event), When(event.clock_us, event.clock_us))
        elif isinstance(event, RouteOf):
            told = self.rules.apply(event, When(record_us, record_us))
        else:
            told = self.rules.tick(event.clock_us)
        told = list(told)
        self.told += told
        return told

    def settle(self) -> None:
        """Remember what is to be remembered."""
        for key, row in self.rules.changed_rows():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row

    def take_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self.take(event)
            self.settle()

    def of(self, topic: str) -> list[Any]:
        """All values of a topic."""
        return [
            None if one.value is None else msgspec.json.decode(one.value) for one in self.told if one.topic == topic
        ]

    def table(self, topic: str = LIVE_VEHICLE_TABLE) -> dict[str, Any]:
        """The newest value of each key, as a compacted topic keeps it."""
        newest: dict[str, Any] = {}
        for one in self.told:
            if one.topic == topic:
                newest[one.key.decode()] = one.value
        return {key: msgspec.json.decode(value) for key, value in newest.items() if value is not None}
