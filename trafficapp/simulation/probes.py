"""Positions that some of the simulated vehicles tell every few seconds: all by a tracker, some by the car as well."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.city import Floats, Integers
from trafficapp.simulation.feeds.forms import LocalClock, MessageIds
from trafficapp.simulation.vehicles import FLEET, VEHICLES_PER_PROBE, Fleet
from trafficapp.sources.outgoing import Outgoing
from trafficapp.topics import GPS_DATA, VEHICLE_DATA

FIX_SECONDS = 5
NOISE_M = 5.0

#: Of so many probes in cars one is a connected car, which tells by itself what its tracker tells.
PROBES_PER_CONNECTED_CAR = 4
_MODELS = (
    ("Fiat", "Panda", "Hybrid"),
    ("Dacia", "Sandero", "LPG"),
    ("Toyota", "Yaris", "Hybrid"),
    ("Tesla", "Model 3", "Electric"),
)


class Probes:
    """Tells where some vehicles are.

    Args:
        graph: the road graph.
        vehicles_name: how names of vehicles begin.
        chance: the source of chance.
        ids: of messages.
        clock: how trackers write times, and cars.
        with_cars: whether connected cars tell as well.
    """

    def __init__(
        self,
        graph: RoadGraph,
        vehicles_name: str,
        chance: np.random.Generator,
        ids: MessageIds,
        clock: tuple[LocalClock, LocalClock],
        with_cars: bool = True,
    ) -> None:
        self._graph, self._vehicles_name, self._chance = graph, vehicles_name, chance
        self._ids, self._with_cars = ids, with_cars
        self._tracker_clock, self._car_clock = clock
        self._east_m = METRES_PER_DEGREE * float(np.cos(np.radians(graph.node_lat.mean())))

    def fixes(self, fleet: Fleet, time_us: int) -> Iterator[Outgoing]:
        """Yield the fixes of this second; each probe has its own second of five."""
        probe, turn = np.divmod(fleet.number, VEHICLES_PER_PROBE)
        telling = np.flatnonzero((turn == 0) & (probe % FIX_SECONDS == time_us // 1_000_000 % FIX_SECONDS))
        lat, lon, heading = places_along(self._graph, fleet.edge[telling], fleet.position_m[telling])
        noise_m = self._chance.normal(0, NOISE_M, (2, len(telling)))
        lat, lon = lat + noise_m[0] / METRES_PER_DEGREE, lon + noise_m[1] / self._east_m
        for place, vehicle in enumerate(telling.tolist()):
            device = f"{self._vehicles_name}{int(fleet.number[vehicle])}"
            message = {
                "id": self._ids.next(),
                "device_id": device,
                "timestamp": self._tracker_clock.naive(time_us),
                "speed": round(float(fleet.speed_kmh[vehicle]), 2),
                "location": [round(float(lat[place]), 6), round(float(lon[place]), 6)],
                "direction": round(float(heading[place]), 1),
                "vehicle_type": FLEET[int(fleet.kind[vehicle])][0],
            }
            yield Outgoing(time_us, str(message["id"]).encode(), orjson.dumps(message), 0, GPS_DATA)
            number = int(probe[telling[place]])
            if self._with_cars and message["vehicle_type"] == "car" and number % PROBES_PER_CONNECTED_CAR == 0:
                car = _of_the_car(message, number // PROBES_PER_CONNECTED_CAR)
                car |= {"id": self._ids.next(), "timestamp": self._car_clock.naive(time_us)}
                yield Outgoing(time_us, str(car["id"]).encode(), orjson.dumps(car), 0, VEHICLE_DATA)


def places_along(graph: RoadGraph, edges: Integers, position_m: Floats) -> tuple[Floats, Floats, Floats]:
    """Latitude, longitude and heading so far along the lines of edges."""
    east_m = METRES_PER_DEGREE * float(np.cos(np.radians(graph.node_lat.mean())))
    found = np.zeros((3, len(edges)))
    for place, (edge, metres) in enumerate(zip(edges.tolist(), position_m.tolist(), strict=True)):
        line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
        lat, lon = graph.shape_lat[line], graph.shape_lon[line]
        steps = np.hypot(np.diff(lat) * METRES_PER_DEGREE, np.diff(lon) * east_m)
        driven = np.concatenate([[0.0], np.cumsum(steps)])
        along = metres / graph.length_m[edge] * driven[-1]
        piece = int(np.clip(np.searchsorted(driven, along, side="right") - 1, 0, len(steps) - 1))
        heading = np.arctan2((lon[piece + 1] - lon[piece]) * east_m, (lat[piece + 1] - lat[piece]) * METRES_PER_DEGREE)
        found[:, place] = np.interp(along, driven, lat), np.interp(along, driven, lon), np.degrees(heading) % 360
    return found[0], found[1], found[2]


def _of_the_car(message: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What a car tells of the same moment as its tracker; its speed in steps, as it comes from the wheels."""
    make, model, fuel = _MODELS[number % len(_MODELS)]
    told = {name: message[name] for name in ("device_id", "location", "direction")}
    return {
        **told,
        "speed": round(message["speed"], 1),
        "make": make,
        "model": model,
        "year": 2018 + number % 8,
        "fuel_type": fuel,
    }
