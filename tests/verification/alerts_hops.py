"""Where a new alert spends its time on the way to its clients, and how long workers waited for a core meanwhile.

Records say when they were handed to the producer, events when Redis numbered them; all clocks are of one machine.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from models.timestamps import epoch_us
from tests.verification.alerts_plan import Traffic
from tests.verification.alerts_sockets import EventsClient
from tests.verification.alerts_topic import Place, place_of
from tests.verification.log import LogRecord, read_log
from trafficapp.topics import METRICS

HOPS = ("record to window", "window to step", "step to event", "event to client")


class Passed(NamedTuple):
    """When a new alert was where; seconds since the epoch.

    Attributes:
        heard: by each client.
    """

    sent: float
    window: float
    step: float
    event: float
    heard: Sequence[float]

    def hops_ms(self) -> tuple[float, ...]:
        """Milliseconds of each of `HOPS`; the last one until the client in the middle."""
        middle = sorted(self.heard)[len(self.heard) // 2]
        places = (self.sent, self.window, self.step, self.event, middle)
        return tuple((after - before) * 1000 for before, after in itertools.pairwise(places))


def passed(
    clients: Iterable[EventsClient],
    traffic: Traffic,
    bootstrap_servers: str,
    stepped_ms: Mapping[Place, int],
    until: float,
) -> list[Passed]:
    """The way of each new alert that a picture raised.

    Args:
        clients: who heard of it.
        traffic: which knows when pictures were sent.
        bootstrap_servers: of the broker.
        stepped_ms: when steps were handed to the producer, milliseconds since the epoch.
        until: monotonic seconds; what was sent later is left out.
    """
    ahead = time.time() - time.monotonic()
    windows = finished(read_log(bootstrap_servers, METRICS))
    heard: dict[Place, list[float]] = defaultdict(list)
    known: dict[Place, tuple[str, int, float]] = {}
    for client in clients:
        for one in client.heard:
            if one.event == "new_alert":
                place = place_of(one.step)
                heard[place].append(one.at + ahead)
                known[place] = (one.step["camera_id"], epoch_us(one.step["triggered_at"]), one.numbered)
    found = []
    for place, (camera_id, end_us, event) in known.items():
        sent, window = traffic.final_since(camera_id, end_us), windows.get((camera_id, end_us))
        if sent is not None and sent < until and window is not None:
            found.append(Passed(sent + ahead, window, stepped_ms[place] / 1000, event, heard[place]))
    return found


def finished(records: Iterable[LogRecord]) -> dict[tuple[str, int], float]:
    """When each window of a camera was first handed to the producer, seconds, by camera and end (us)."""
    found: dict[tuple[str, int], float] = {}
    for record in records:
        row = json.loads(record.value or b"")
        if row["lane_id"] is None:
            found.setdefault((row["camera_id"], epoch_us(row["window_end"])), record.timestamp_ms / 1000)
    return found


def waited_seconds(pids: Mapping[str, int | None]) -> dict[str, float]:
    """For how long each process's main thread had work and no core since it began, by its name; none where that is
    not told.
    """
    found = {}
    for name, pid in pids.items():
        try:
            found[name] = int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, ValueError, LookupError):
            continue
    return found
