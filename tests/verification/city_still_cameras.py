"""Still cameras in the run over all feeds: what they send, and what must follow.

Compared exactly: letters, also of snapshots that are too large; that each accepted message went on once; every row of
``still_cameras``; the newest document of each camera and its picture, byte for byte.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from typing import Any

from tests.verification.city_compare import Found, compare_counted, compare_near, us_of
from tests.verification.city_plan import BOUNDS, Plan, Sent, with_, without
from tests.verification.compare import Comparison

_TOPIC = "traffic_camera_data"
_CAMERAS = 15
_FIELDS = ("device_id", "latitude", "longitude", "direction", "snapshot_kind", "snapshot_bytes", "snapshot_sha256")
_SPOILT = (
    without("camera_id"),
    without("timestamp"),
    with_("camera_id", ""),
    with_("location", [44.5]),
    with_("location", [11.35, 44.5], "outside_city"),
    with_("location", [144.5, 11.35], "invalid_place"),
    with_("snapshot", [1]),
    with_("snapshot", base64.b64encode(b"\xff\xd8\xff" + bytes(300_000)).decode(), "snapshot_too_large"),
    with_("timestamp", "at dawn", "invalid_timestamp"),
)


class StillCamerasPart:
    """Cameras that send pictures, texts or nothing; their clocks gain on ours."""

    topics = (_TOPIC,)

    def __init__(self, plan: Plan, seconds: int) -> None:
        self._plan = plan

    def batch(self, number: int, now_us: int) -> list[Sent]:
        """What is sent in one second."""
        found = list[Sent]()
        for camera in self._plan.chance.sample(range(_CAMERAS), 3):
            # two messages of a camera never tell the same time: no rule says which of them counts
            found += self._message(camera, (now_us // 1_000_000 + number * 30) * 1_000_000 + number % 1000 * 1000)
        return found

    def _message(self, camera: int, time_us: int) -> list[Sent]:
        plan, name = self._plan, f"still-{camera}"
        south, west, _, _ = BOUNDS
        place = round(south + camera * 0.01, 6), round(west + 0.1, 6)
        picture = b"\x89PNG\r\n\x1a\n" + plan.chance.randbytes(plan.chance.randrange(16, 2_000))
        kind = plan.chance.choice(("image", "image", "text", "none"))
        snapshot = {"image": base64.b64encode(picture).decode(), "text": "no picture today", "none": None}[kind]
        message: dict[str, Any] = {"id": plan.new_id(), "camera_id": name, "device_id": f"device-{camera}"}
        message |= {"timestamp": plan.time(time_us), "snapshot": snapshot, "location": list(place)}
        message |= {"direction": "North-East", "speed": 0.0}
        if plan.is_dirty():
            return plan.dirty(_TOPIC, name, message, _SPOILT)
        says: dict[str, Any] = {"camera_id": name, "time_us": time_us, "device_id": f"device-{camera}"}
        says |= {"latitude": place[0], "longitude": place[1], "direction": "North-East", "snapshot_kind": kind}
        says["snapshot_bytes"] = {"image": len(picture), "text": 16, "none": 0}[kind]
        says["snapshot_sha256"] = hashlib.sha256(picture).hexdigest() if kind == "image" else None
        return plan.clean(_TOPIC, name, message, {**says, "picture": picture if kind == "image" else None})

    def compare(self, found: Found) -> list[Comparison]:
        """Everything that follows."""
        app = found.deployment.settings.app_id
        says = [meant.says for _, meant in found.accepted(_TOPIC)]
        right = {(one["camera_id"], one["time_us"]): {name: one[name] for name in _FIELDS} for one in says}
        went_on = found.documents(f"{app}-still-cameras")
        pictures = found.documents(f"{app}-still-snapshots")
        rows = found.rows("SELECT * FROM still_cameras")
        table = {(row["camera_id"], us_of(row["observed_at"])): row for row in rows}
        newest = {f"still_camera:{one['camera_id']}:current": one for one in _newest(says)}
        wanted = {
            key: {"time_us": one["time_us"]} | {name: one[name] for name in _FIELDS} for key, one in newest.items()
        }
        documents = {key: _plain(one) for key, one in found.redis_documents(newest).items()}
        seen = [one for one in says if one["picture"] is not None]
        shown = {
            f"still_camera:{one['camera_id']}:snapshot": {
                "time_us": one["time_us"],
                "picture": base64.b64encode(one["picture"]).decode(),
            }
            for one in _newest(seen)
        }
        return [
            *found.letters(_TOPIC),
            compare_counted("messages that went on", map(_flat, says), [_flat(_plain(one)) for one in went_on]),
            compare_counted(
                "pictures that went on",
                [(one["camera_id"], one["time_us"]) for one in seen],
                [(one["camera_id"], us_of(one["timestamp"])) for one in pictures],
            ),
            compare_near("table still_cameras", right, table),
            compare_near("documents still_camera:*:current", wanted, documents),
            compare_near(
                "documents still_camera:*:snapshot",
                shown,
                {key: _plain(one) for key, one in found.redis_documents(shown).items()},
            ),
        ]


def _newest(says: Iterable[Any]) -> list[Any]:
    newest: dict[str, Any] = {}
    for one in says:
        if one["camera_id"] not in newest or one["time_us"] > newest[one["camera_id"]]["time_us"]:
            newest[one["camera_id"]] = one
    return list(newest.values())


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "time_us": us_of(document["timestamp"])}


def _flat(one: Any) -> tuple[Any, ...]:
    return one["camera_id"], one["time_us"], *(one[name] for name in _FIELDS)
