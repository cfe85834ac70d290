"""What cameras and roads send in a run over the lake, and how many rows must come of each message of a camera."""

from __future__ import annotations

import json
from typing import Any

from tests.verification.city_plan import Plan, Sent
from trafficapp.topics import EVENTS_RAW, ROADS_RAW

CAMERAS, ROADS = 12, 20
FRAMES_PER_SECOND = 4
_DIRTY = 0.05

#: About the street that has them in the shipped graph of roads.
_COORDINATES = [[11.3266, 44.4993], [11.3216, 44.5012]]


class CamerasPart:
    """Half of the cameras send frames, the others a message for each vehicle; some traffic stands still.

    Attributes:
        rows: by key and value of a message, how many of its detections are accepted.
    """

    topics = (EVENTS_RAW,)

    def __init__(self, plan: Plan) -> None:
        self._chance = plan.chance
        self.rows: dict[tuple[bytes | None, bytes | None], int] = {}

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """The pictures of a second."""
        found: list[Sent] = []
        for camera in range(CAMERAS):
            for frame in range(FRAMES_PER_SECOND):
                picture = {
                    "camera_id": f"cam_{camera:02}",
                    "frame_id": number * FRAMES_PER_SECOND + frame,
                    "timestamp": (now_us + frame * 1_000_000 // FRAMES_PER_SECOND) // 1000,
                }
                seen = [self._vehicle(camera, number, place) for place in range(self._chance.randrange(12))]
                found += self._frame(picture, seen) if camera % 2 else self._singles(picture, seen)
        return found

    def _vehicle(self, camera: int, number: int, place: int) -> dict[str, Any]:
        stands = camera < 3 and number % 40 > 15
        return {
            "vehicle_id": f"v{camera}-{place}-{number // 5}",
            "class": self._chance.choice(["car", "bus", "truck"]),
            "confidence": round(self._chance.random(), 3),
            "bbox": {"x": 10.5 * place, "y": 20, "w": 30.25, "h": 40.0},
            "lane_id": self._chance.choice([None, 0, 1]),
            "speed_estimate": 1.5 if stands else round(self._chance.uniform(20, 70), 2),
        }

    def _frame(self, picture: dict[str, Any], seen: list[dict[str, Any]]) -> list[Sent]:
        accepted = len(seen)
        if seen and self._chance.random() < _DIRTY:
            seen[0]["class"], accepted = "ufo", accepted - 1
        return [self._sent(picture["camera_id"], picture | {"detections": seen}, accepted)]

    def _singles(self, picture: dict[str, Any], seen: list[dict[str, Any]]) -> list[Sent]:
        found = []
        for vehicle in seen:
            message, accepted = picture | vehicle, 1
            if self._chance.random() < _DIRTY:
                message, accepted = message | {"confidence": 2.0}, 0
            found.append(self._sent(picture["camera_id"], message, accepted))
        return found

    def _sent(self, camera_id: str, message: dict[str, Any], rows: int) -> Sent:
        sent = Sent(EVENTS_RAW, camera_id.encode(), json.dumps(message).encode())
        if self._chance.random() < _DIRTY / 2:
            sent, rows = Sent(EVENTS_RAW, sent.key, (sent.value or b"")[:-3]), 0
        self.rows[sent.key, sent.value] = rows
        return sent


class RoadsPart:
    """Each road every five seconds, now and then in a jam."""

    topics = (ROADS_RAW,)

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """The roads of a second."""
        found = []
        for road in range(number % 5, ROADS, 5):
            jams = road % 4 == 0 and number % 60 > 20
            message = {
                "event_id": self._plan.new_id(),
                "timestamp": now_us // 1000,
                "road_id": f"road-{road}",
                "road_name": f"Via {road}",
                "current_speed": 4.0 if jams else 31.5,
                "free_flow_speed": 50.0,
                "jam_factor": 9.1 if jams else 3.2,
                "coordinates": _COORDINATES,
            }
            found.append(Sent(ROADS_RAW, f"road-{road}".encode(), json.dumps(message).encode()))
        return found
