"""The steps on ``traffic.alerts``, held against the oracle's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from models.timestamps import epoch_us
from tests.verification.alerts_oracle import Step, told_by
from tests.verification.alerts_plan import SILENT, SILENT_AFTER, Traffic
from tests.verification.log import read_log
from trafficapp.topics import ALERTS

#: A step: id of its alert, action, revision.
Place = tuple[str, str, int]


@dataclass
class Found:
    """What stands on ``traffic.alerts``: first copies in order, repeats, and repeats that differ.

    Attributes:
        stepped_ms: when first copies were handed to the producer, milliseconds since the epoch.
    """

    steps: dict[Place, dict[str, Any]] = field(default_factory=dict)
    raw: dict[Place, bytes] = field(default_factory=dict)
    stepped_ms: dict[Place, int] = field(default_factory=dict)
    repeats: int = 0
    differing: list[str] = field(default_factory=list)

    def of(self, *types: str) -> list[dict[str, Any]]:
        """Steps of alerts of these types, without what people did."""
        return [s for s in self.steps.values() if s["alert_type"] in types and s["action"] != "acknowledged"]

    def newest(self) -> dict[str, dict[str, Any]]:
        """The step with the largest revision of each alert."""
        newest: dict[str, dict[str, Any]] = {}
        for (alert_id, action, revision), step in self.steps.items():
            known = newest.get(alert_id)
            if action != "acknowledged" and (known is None or known["revision"] < revision):
                newest[alert_id] = step
        return newest


def place_of(step: dict[str, Any]) -> Place:
    """Which step it is."""
    return step["id"], step["action"], step["revision"]


def read_alerts(bootstrap_servers: str) -> Found:
    """Read the whole topic."""
    found = Found()
    for record in read_log(bootstrap_servers, ALERTS):
        value = record.value or b""
        step = json.loads(value)
        place = place_of(step)
        if place not in found.steps:
            found.steps[place], found.raw[place] = step, value
            found.stepped_ms[place] = record.timestamp_ms
            continue
        found.repeats += 1
        if found.raw[place] != value:
            found.differing.append(f"{found.raw[place]!r}\n      {value!r}")
    return found


def is_complete(found: Found, expected: Sequence[Step], traffic: Traffic) -> bool:
    """Whether everything that must come has come; at the end every camera is missed."""
    steps = Counter(map(as_right, found.of("congestion", "stopped_traffic")))
    return not Counter(expected) - steps and not _right_silences(traffic) - _silences(found)


def topic_faults(found: Found, expected: Sequence[Step], traffic: Traffic) -> list[str]:
    """What is not as the oracle says."""
    faults = [f"a repeat differs: {one}" for one in found.differing]
    for right, steps in (
        (Counter(expected), Counter(map(as_right, found.of("congestion", "stopped_traffic")))),
        (_right_silences(traffic), _silences(found)),
    ):
        faults += [f"missing on {ALERTS}: {one}" for one in right - steps]
        faults += [f"not expected on {ALERTS}: {one}" for one in steps - right]
    opened = opened_by_camera(found)
    flapping = [name for name in traffic.cameras if name.startswith("flapping")]
    return faults + [f"{name}: {opened[name]} alerts" for name in flapping if opened[name] > 1]


def opened_by_camera(found: Found) -> Counter[str]:
    """How many alerts about congestion each camera had."""
    return Counter(step["camera_id"] for step in found.of("congestion") if step["action"] == "opened")


def as_right(step: dict[str, Any]) -> Step:
    """A found step in the oracle's form."""
    values, resolved = step["values"], step["action"] == "resolved"
    return Step(
        camera_id=step["camera_id"],
        alert_type=step["alert_type"],
        action=step["action"] if step["resolved_at"] == (step["updated_at"] if resolved else None) else "ill-timed",
        revision=step["revision"],
        severity=step["severity"],
        level=step["congestion_level"],
        score=step["congestion_score"],
        since_us=epoch_us(step["since"]),
        triggered_us=epoch_us(step["triggered_at"]),
        at_us=epoch_us(step["updated_at"]),
        vehicle_count=values["vehicle_count"],
        avg_speed_kmh=values["avg_speed_kmh"],
        queue_length=values["queue_length"],
        peak_score=values["peak_congestion_score"],
        told=told_by(step["title"], step["message"]) if step["action"] == "updated" else (),
        alarm_us=None if step["alarm_at"] is None else epoch_us(step["alarm_at"]),
    )


def _silences(found: Found) -> Counter[tuple[str, str, int, int]]:
    steps = found.of("camera_silent")
    return Counter((s["camera_id"], s["action"], s["revision"], epoch_us(s["since"])) for s in steps)


def _right_silences(traffic: Traffic) -> Counter[tuple[str, str, int, int]]:
    """One camera was missed for a while; once everything has been sent all are, each since its last picture."""
    since_us = traffic.newest_us(SILENT, SILENT_AFTER)
    right = [(SILENT, "opened", 1, since_us), (SILENT, "resolved", 2, since_us)]
    return Counter([*right, *((name, "opened", 1, traffic.newest_us(name)) for name in traffic.cameras)])
