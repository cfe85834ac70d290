"""Random traffic before cameras, plausible enough for speeds to be estimated from it.

On each lane vehicles follow one another towards a stop line whose signal turns red now and then.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from trafficapp.sources.outgoing import Outgoing

_WIDTH_PX = 1920.0
_STOP_LINE_PX = 1500.0
_GAP_PX = 40.0
_ENTRY_PX = 0.0
_LANES = 3
_RED_SECONDS, _CYCLE_SECONDS = 25.0, 60.0
_ACCELERATION_MS2 = 2.0

#: Class, share of the traffic, length and height in pixels.
_FLEET: tuple[tuple[str, float, float, float], ...] = (
    ("car", 0.70, 84, 40),
    ("van", 0.08, 104, 52),
    ("truck", 0.07, 160, 70),
    ("bus", 0.04, 220, 72),
    ("motorcycle", 0.06, 44, 34),
    ("bicycle", 0.05, 36, 34),
)
_TOP_SPEED_KMH = {"bicycle": 22.0, "bus": 45.0, "truck": 45.0}


@dataclass
class _Vehicle:
    vehicle_id: str
    kind: str
    length_px: float
    height_px: float
    wish_ms: float
    front_px: float
    speed_ms: float


@dataclass
class SimulatedCamera:
    """One camera's road: vehicles that enter on the left and leave on the right.

    Args:
        camera_id: its name.
        vehicles: how many are in the picture, about.
        pixel_to_meter: metres a pixel stands for.
        random: the source of chance.
    """

    camera_id: str
    vehicles: int
    pixel_to_meter: float
    random: random.Random
    _lanes: list[list[_Vehicle]] = field(default_factory=lambda: [[] for _ in range(_LANES)])
    _entered: int = 0
    _clock_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._phase_seconds = self.random.uniform(0, _CYCLE_SECONDS)
        for number in range(self.vehicles):
            self._enter(_WIDTH_PX * (1 - (number // _LANES + 1) * _LANES / (self.vehicles + _LANES)))

    def step(self, seconds: float) -> list[tuple[int, _Vehicle]]:
        """Move on by a time; return (lane, vehicle) of all, those that wait before the picture's edge too."""
        self._clock_seconds += seconds
        red = (self._clock_seconds + self._phase_seconds) % _CYCLE_SECONDS < _RED_SECONDS
        for lane in self._lanes:
            self._move(lane, seconds, red)
        missing = self.vehicles - sum(map(len, self._lanes))
        for _ in range(missing):
            self._enter(_ENTRY_PX)
        return [(number, vehicle) for number, lane in enumerate(self._lanes) for vehicle in lane]

    def _move(self, lane: list[_Vehicle], seconds: float, red: bool) -> None:
        """Every vehicle speeds up to what it wishes, but stays behind the one ahead and the red signal."""
        rear_ahead_px = float("inf")
        for vehicle in lane:  # the first is furthest on
            wished_ms = min(vehicle.wish_ms, vehicle.speed_ms + _ACCELERATION_MS2 * seconds)
            limit_px = rear_ahead_px - _GAP_PX
            if red and vehicle.front_px <= _STOP_LINE_PX:
                limit_px = min(limit_px, _STOP_LINE_PX)
            target_px = vehicle.front_px + wished_ms * seconds / self.pixel_to_meter
            moved_px = max(min(target_px, limit_px) - vehicle.front_px, 0.0)
            vehicle.front_px += moved_px
            vehicle.speed_ms = moved_px * self.pixel_to_meter / seconds
            rear_ahead_px = vehicle.front_px - vehicle.length_px
        while lane and lane[0].front_px > _WIDTH_PX:
            lane.pop(0)

    def _enter(self, front_px: float) -> None:
        lane = min(self._lanes, key=len)
        kind, _, length_px, height_px = self.random.choices(_FLEET, weights=[share for _, share, _, _ in _FLEET])[0]
        top_kmh = _TOP_SPEED_KMH.get(kind, 60.0)
        wish_ms = self.random.uniform(0.6, 1.0) * top_kmh / 3.6
        if lane:
            front_px = min(front_px, lane[-1].front_px - lane[-1].length_px - _GAP_PX)
        self._entered += 1
        name = f"{self.camera_id}-{self._entered}"
        lane.append(_Vehicle(name, kind, length_px, height_px, wish_ms, front_px, wish_ms))


@dataclass(frozen=True)
class SimulatedTraffic:
    """Detections of several cameras, without end.

    Args:
        cameras: how many; they are called cam_01, cam_02 and so on.
        rate: detections a second of each camera.
        lanes: whether lane_id is sent.
        speeds: whether speed_estimate is sent.
        pixel_to_meter: metres a pixel stands for.
        seed: the same seed gives the same traffic.
    """

    cameras: int
    rate: float
    lanes: bool = False
    speeds: bool = True
    pixel_to_meter: float = 0.05
    seed: int | None = None

    def messages(self, first_at_us: int) -> Iterator[Outgoing]:
        """Yield messages in the order of event time, from a time on (microseconds since the epoch)."""
        chance = random.Random(self.seed)
        vehicles = max(round(self.rate / 2), 1)  # two pictures a second when there is traffic enough
        interval_seconds = vehicles / self.rate
        roads = [
            SimulatedCamera(f"cam_{number:02d}", vehicles, self.pixel_to_meter, random.Random(chance.random()))
            for number in range(1, self.cameras + 1)
        ]
        frame_id = 0
        while True:
            frame_id += 1
            for index, road in enumerate(roads):
                offset_seconds = (frame_id - 1 + index / len(roads)) * interval_seconds  # cameras take turns
                event_time_ms = first_at_us // 1000 + round(offset_seconds * 1000)
                for lane_id, vehicle in road.step(interval_seconds):
                    detection = self._detection(road, frame_id, event_time_ms, lane_id, vehicle, chance)
                    yield Outgoing(event_time_ms * 1000, road.camera_id.encode(), orjson.dumps(detection), 1)

    def _detection(
        self,
        road: SimulatedCamera,
        frame_id: int,
        event_time_ms: int,
        lane_id: int,
        vehicle: _Vehicle,
        chance: random.Random,
    ) -> dict[str, object]:
        x = round(vehicle.front_px - vehicle.length_px, 1)
        y = 300.0 + 120.0 * lane_id
        w, h = vehicle.length_px, vehicle.height_px
        detection: dict[str, object] = {
            "camera_id": road.camera_id,
            "timestamp": event_time_ms,
            "frame_id": frame_id,
            "vehicle_id": vehicle.vehicle_id,
            "class": vehicle.kind,
            "confidence": round(chance.uniform(0.6, 0.99), 3),
            "bbox": {"x": x, "y": y, "w": w, "h": h},
            "centroid": {"x": round(x + w / 2, 1), "y": round(y + h / 2, 1)},
        }
        if self.lanes:
            detection["lane_id"] = lane_id
        if self.speeds:
            detection["speed_estimate"] = round(vehicle.speed_ms * 3.6, 2)
        return detection
