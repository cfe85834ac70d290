"""What cameras see while alerts are checked: waves, levels that change every window, gaps, one that falls silent."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable

from confluent_kafka import Producer

from tests.verification.alerts_oracle import TRAFFIC, USUAL, WINDOW_US, Boundaries, Rules, Step, Window, right_steps
from tests.verification.deployment import Deployment, until
from tests.verification.log import TICK_HEADER, end_offsets
from trafficapp.sources.delivery import Delivery
from trafficapp.topics import EVENTS_RAW

#: Free traffic before the plan begins: a broker whose code was never run takes up to 0.4 s for a request while all
#: others have the cores, and runs ten times as fast after some seconds.
LEAD_WINDOWS = 20
WINDOWS = LEAD_WINDOWS + 150
#: Nobody is killed before this window: here the delays are measured.
CALM_WINDOWS = LEAD_WINDOWS + 70
SECONDS_A_WINDOW = 0.5
WAVES = 16
CHANGED_AT = LEAD_WINDOWS + 100
CHANGED: Boundaries = (0.20, 0.35, 0.60)
SILENT, SILENT_AFTER = "silent", LEAD_WINDOWS + 20

#: Three windows: some waves are an alarm by their length, some by their height, some end before.
ON_DELAY_SECONDS = 15
_RULES = Rules(on_delay_us=ON_DELAY_SECONDS * 1_000_000)

_NEWEST_PICTURE_US = 3_500_000
_PICTURES_US = (1_000_000, _NEWEST_PICTURE_US)
_MISSED_WITHIN_SECONDS = 120.0


def plan(seed: int) -> dict[str, str]:
    """A letter for each window of each camera; a blank for none."""
    chance = random.Random(seed)
    planned = WINDOWS - LEAD_WINDOWS
    cameras = {}
    for number in range(WAVES):
        letters = ""
        while len(letters) < planned - 10:
            letters += "L" * chance.randint(2, 6) + "M" * chance.randint(0, 2) + "H" * chance.randint(2, 4)
            letters += (
                "S" * chance.choice([0, 1, 3, 8, 14, 18]) + "H" * chance.randint(0, 3) + "M" * chance.randint(0, 3)
            )
            letters += "L" * chance.randint(6, 9)
        cameras[f"wave-{number}"] = letters[:planned].ljust(planned, "L")
    cameras |= {f"flapping-{pair}": (pair * planned)[:planned] for pair in ("HL", "SL", "SM", "HM", "LS")}
    cameras["gaps"] = ("LH       HL     S     LLL H    H         LLLL  " * 4)[:planned]
    cameras[SILENT] = "L" * (SILENT_AFTER - LEAD_WINDOWS)
    return {camera_id: "L" * LEAD_WINDOWS + letters for camera_id, letters in cameras.items()}


class Traffic:
    """The planned pictures on their way.

    Attributes:
        cameras: the plan; what is sent beyond it is put into it.
        base_us: begin of the first window.
        sent: when a window's newest picture was handed to the producer (monotonic seconds), by camera and window.
    """

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self.cameras = plan(seed)
        self.base_us = int(time.time() * 1e6) // WINDOW_US * WINDOW_US - (WINDOWS + 60) * WINDOW_US
        self.sent: dict[tuple[str, int], float] = {}
        self._deployment = deployment
        self._delivery = Delivery(deployment.settings, EVENTS_RAW, linger_ms=1)

    async def drive(self, is_missed: Callable[[], bool]) -> None:
        """Send everything at its pace; the silent camera comes back once it is missed.

        What is sent beyond the plan is put into it: nobody else may fall silent meanwhile.
        """
        began, number = time.monotonic(), 0
        missed = asyncio.create_task(until(is_missed, _MISSED_WITHIN_SECONDS))
        while number < WINDOWS or not missed.done():
            await asyncio.sleep(max(began + number * SECONDS_A_WINDOW - time.monotonic(), 0))
            if number == CHANGED_AT - 2:
                await asyncio.to_thread(self._change_thresholds)
            for camera_id, letters in self.cameras.items():
                if number >= len(letters):
                    self.cameras[camera_id] += " " if camera_id == SILENT and not missed.done() else "L"
            await asyncio.to_thread(self._send, number)
            number += 1

    def right_steps(self) -> list[Step]:
        """All steps that the oracle demands."""
        return [
            step
            for name, letters in self.cameras.items()
            for step in right_steps(name, self._windows_of(letters), _RULES)
        ]

    def newest_us(self, camera_id: str, before: int | None = None) -> int:
        """When a camera took its last picture, or the last one before a window."""
        return self.base_us + (len(self.cameras[camera_id][:before].rstrip()) - 1) * WINDOW_US + _NEWEST_PICTURE_US

    def final_since(self, camera_id: str, end_us: int) -> float | None:
        """When the record was sent that made the window with this end final: the newest picture of the window
        behind it. None when there is none: such a window ends when the camera has been idle for long enough.
        """
        return self.sent.get((camera_id, (end_us - self.base_us) // WINDOW_US))

    def _windows_of(self, letters: str) -> list[Window]:
        return [
            Window(self.base_us + number * WINDOW_US, letter, CHANGED if number >= CHANGED_AT else USUAL)
            for number, letter in enumerate(letters)
            if letter != " "
        ]

    def _send(self, number: int) -> None:
        """Send all cameras' pictures of a window and wait for the broker."""
        for camera_id, letters in self.cameras.items():
            if letters[number] == " ":
                continue
            count, speed_kmh = TRAFFIC[letters[number]]
            detections = [
                {
                    "vehicle_id": f"v{vehicle}",
                    "class": "car",
                    "confidence": 0.9,
                    "bbox": {"x": 1, "y": 2, "w": 3, "h": 4},
                    "speed_estimate": speed_kmh,
                }
                for vehicle in range(count)
            ]
            for picture, offset_us in enumerate(_PICTURES_US):
                time_ms = (self.base_us + number * WINDOW_US + offset_us) // 1000
                head = {"camera_id": camera_id, "frame_id": number * 2 + picture, "timestamp": time_ms}
                text = json.dumps({**head, "detections": detections}).encode()
                self.sent[camera_id, number] = time.monotonic()
                self._delivery.send(camera_id.encode(), text)
        self._delivery.flush(30)

    def _change_thresholds(self) -> None:
        """Send a control record, and one that is none, to every partition; and the good one again."""
        names = dict(zip(("moderate", "high", "severe"), CHANGED, strict=True))
        thresholds = {"version": 1, "effective_from_us": self.base_us + CHANGED_AT * WINDOW_US, **names}
        servers = self._deployment.bootstrap_servers
        producer = Producer({"bootstrap.servers": servers})
        for value in (
            {"thresholds": thresholds},
            {"thresholds": {**thresholds, "high": 2}},
            {"thresholds": thresholds},
        ):
            for partition in end_offsets(servers, EVENTS_RAW):
                producer.produce(EVENTS_RAW, value=json.dumps(value), partition=partition, headers=[(TICK_HEADER, b"")])
        producer.flush(30)
