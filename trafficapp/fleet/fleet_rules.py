"""What is taken for granted of vehicles, in numbers, and the roads that they are on."""

from __future__ import annotations

from math import inf

from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.fleet.drives import DriveRule
from trafficapp.fleet.driving import Limits
from trafficapp.fleet.matching import FleetRoads
from trafficapp.fleet.travels import TravelRule
from trafficapp.movement.plausibility import MovementRule
from trafficapp.roads.graph.awaited import AwaitedGraph
from trafficapp.roads.limits import SpeedLimits
from trafficapp.settings import FleetSettings, MovementSettings


class FleetRules:
    """The rule in numbers, made once.

    Args:
        fleet: the settings.
        movement: likewise.
        limits: of the roads; None where they are not known.
        roads: that fixes are matched to; None where they are not.
        roads_topic: where it is told what matched vehicles do on the roads; fixes are matched with this only.
        awaited: the road graph that limits and roads are of as soon as it is there, as far as the settings ask for
            these; None where nothing is waited for.
    """

    def __init__(
        self,
        fleet: FleetSettings,
        movement: MovementSettings,
        limits: Limits | None = None,
        roads: FleetRoads | None = None,
        roads_topic: str = "",
        awaited: AwaitedGraph | None = None,
    ) -> None:
        self.settings, self.roads, self.roads_topic = fleet, roads, roads_topic
        self.travels = TravelRule.of(fleet) if fleet.road_speeds else None
        self.movement = MovementRule.of(movement)
        self.drive = DriveRule.of(fleet, self.movement, limits)
        #: A drop of speed that may be harsh braking, km/h.
        self.braking_kmh = inf if self.drive.braking is None else self.drive.braking.least_kmh
        self.direction_from_m = fleet.direction_from_m
        self.set_back_us = fleet.set_back_seconds * MICROSECONDS_PER_SECOND
        self.forget_us = round(fleet.forget_hours * 3600 * MICROSECONDS_PER_SECOND)
        self._awaited = awaited

    @property
    def lacking(self) -> str | None:
        """What is waited for."""
        return None if self._awaited is None else self._awaited.missing

    def look(self) -> None:
        """Take the road graph up, if it is there now."""
        graph = None if self._awaited is None else self._awaited.graph
        if graph is None:
            return
        self._awaited = None
        if self.settings.speeding:
            self.drive = DriveRule.of(self.settings, self.movement, SpeedLimits(graph))
        if self.settings.matching:
            self.roads = FleetRoads(graph)
