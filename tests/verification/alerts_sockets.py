"""Clients of ``/ws/events`` on several workers: each must hear every step of every alert once."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp

from models.timestamps import epoch_us
from tests.verification.alerts_plan import Traffic
from tests.verification.alerts_topic import Place, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EVENT_OF_ACTION = {
    "opened": "new_alert",
    "updated": "alert_updated",
    "acknowledged": "alert_acknowledged",
    "resolved": "alert_resolved",
}
#: What a new alert says beside its step.
_OF_NEW_ALERTS = ("alert_severity", "score", "vehicle_count", "window_end")
ACKNOWLEDGEMENT = ("acknowledged_by", "acknowledged_at")
#: Who was authenticated as them; it is only there where there is one.
_CALLER = "acknowledged_caller"

_AGAIN_SECONDS = 0.05


class Heard(NamedTuple):
    """An event about an alert; ``at`` in monotonic seconds, ``numbered`` by Redis in seconds since the epoch."""

    at: float
    event: str
    step: dict[str, Any]
    numbered: float = 0.0


class EventsClient:
    """A client that comes back, to the next worker, with ``resume_after`` whenever its connection ends.

    Args:
        name: for the faults.
        ports: of the workers, the first one to begin with.

    Attributes:
        heard: events about alerts in the order they came, over all connections.
        rises: steps that were told as new although the alert was open: its severity rose.
        connections: how many there were.
        faults: what a connection said that it must not.
    """

    def __init__(self, name: str, ports: Sequence[int]) -> None:
        self.name = name
        self.heard: list[Heard] = []
        self.rises: list[dict[str, Any]] = []
        self.connections = 0
        self.faults: list[str] = []
        self.connected = asyncio.Event()
        self._ports = ports
        self._seq = -1
        self._told = -1

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Listen until cancelled."""
        turn = 0
        while True:
            resume = {"include": "quality"} | ({} if self._seq < 0 else {"resume_after": str(self._seq)})
            url = f"http://127.0.0.1:{self._ports[turn % len(self._ports)]}/ws/events"
            try:
                async with session.ws_connect(url, params=resume) as socket:
                    self.connections += 1
                    async for message in socket:
                        self._hear(time.monotonic(), message.data)
            except (aiohttp.ClientError, OSError):
                pass  # the worker was killed, or is not back yet
            turn += 1
            await asyncio.sleep(_AGAIN_SECONDS)

    def open_alerts(self) -> list[dict[str, Any]]:
        """The alerts that are open as far as this client has heard, the one with the newest step last."""
        alerts: dict[str, dict[str, Any]] = {}
        for one in list(self.heard):
            alerts.pop(one.step["id"], None)
            if one.event != "alert_resolved":
                alerts[one.step["id"]] = one.step
        return list(alerts.values())

    def _check_new(self, told: dict[str, Any]) -> None:
        right = {"WARNING": "HIGH", "CRITICAL": "SEVERE", "EMERGENCY": "SEVERE"}[told["alert_severity"]]
        level = told["congestion_level"] if told["congestion_level"] in ("HIGH", "SEVERE") else right
        window_end = None if told["congestion_level"] is None else told["updated_at"]
        if (told["severity"], told["score"], told["window_end"]) != (level, told["congestion_score"], window_end):
            self.faults.append(f"{self.name}: a new alert says {told}")

    def _hear(self, at: float, message: str) -> None:
        envelope = json.loads(message)
        seq, event = envelope["seq"], envelope["event"]
        if event == "resync" or (event == "snapshot" and self._seq >= 0):
            self.faults.append(f"{self.name}: told {event} after {self._seq}")
        if event not in ("snapshot", "heartbeat", "resync"):
            if seq <= self._told:
                self.faults.append(f"{self.name}: {event} has number {seq} after {self._told}")
            self._told = seq
        self._seq = max(seq, self._seq)
        if event in EVENT_OF_ACTION.values():
            step = envelope["data"]
            if event == "new_alert":
                self._check_new(step)
                step = {name: value for name, value in step.items() if name not in _OF_NEW_ALERTS}
                step["severity"] = envelope["data"]["alert_severity"]
            if event == "new_alert" and step["action"] == "updated":
                self.rises.append(step)
            else:
                self.heard.append(Heard(at, event, step, epoch_us(envelope["ts"]) / 1e6))
        self.connected.set()


@asynccontextmanager
async def listening(count: int, ports: Sequence[int]) -> AsyncIterator[list[list[EventsClient]]]:
    """Connect so many clients to each worker; yields them by worker once each has its snapshot."""
    clients = [
        [EventsClient(f"client {number} of worker {at + 1}", [*ports[at:], *ports[:at]]) for number in range(count)]
        for at in range(len(ports))
    ]
    everybody = [client for worker in clients for client in worker]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        tasks = [asyncio.create_task(client.run(session)) for client in everybody]
        try:
            async with asyncio.timeout(30):
                await asyncio.gather(*(client.connected.wait() for client in everybody))
            yield clients
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def socket_faults(clients: Sequence[EventsClient], steps: Mapping[Place, dict[str, Any]]) -> list[str]:
    """What a client did not hear once, in order, as it stands on the topic.

    An acknowledgement is no step of the alert's own: it stands on the topic with the revision that it was given at, and
    whoever was faster is before it. Clients are told it of the alert as they know it by then, so that nothing they have
    falls back; and not at all behind the alert's end.
    """
    right = Counter((EVENT_OF_ACTION[place[1]], *_counted_as(place)) for place in steps if place not in _late(steps))
    acknowledgements = {place[0]: step for place, step in steps.items() if place[1] == "acknowledged"}
    faults: list[str] = []
    for client in clients:
        faults += client.faults
        told = Counter((one.event, *_counted_as(place_of(one.step))) for one in client.heard)
        faults += [
            f"{client.name}: heard {told[one]} times: {one}" for one in (right | told) if told[one] != right[one]
        ]
        faults += _wording_faults(client, steps, acknowledgements)
        risen = Counter(place_of(one) for one in client.rises)
        right_rises = Counter(
            place for place, step in steps.items() if place[1] == "updated" and "risen_from" in step["values"]
        )
        faults += [
            f"{client.name}: told {risen[one]} times as new: {one}"
            for one in (risen | right_rises)
            if risen[one] != right_rises[one]
        ]
    return faults


def _counted_as(place: Place) -> tuple[str, str, int | None]:
    """A place; of an acknowledgement, of which an alert has one, without the revision."""
    return (place[0], place[1], None if place[1] == "acknowledged" else place[2])


def _late(steps: Mapping[Place, dict[str, Any]]) -> set[Place]:
    """Acknowledgements that stand behind the end of their alert."""
    ended: set[str] = set()
    late: set[Place] = set()
    for place in steps:
        if place[1] == "resolved":
            ended.add(place[0])
        elif place[1] == "acknowledged" and place[0] in ended:
            late.add(place)
    return late


def _wording_faults(
    client: EventsClient, steps: Mapping[Place, dict[str, Any]], acknowledgements: Mapping[str, dict[str, Any]]
) -> list[str]:
    """An event says what its step says, and who has acknowledged the alert by then; steps come in order."""
    faults: list[str] = []
    newest: dict[str, dict[str, Any]] = {}
    acknowledged: dict[str, list[Any]] = {}
    for _, event, step, _ in client.heard:
        alert_id, _, revision = place_of(step)
        before = newest.get(alert_id, {"action": None, "revision": 0})
        if before["action"] == "resolved":
            faults.append(f"{client.name}: {event} {alert_id} after its end")
        if event == "alert_acknowledged":
            given = acknowledgements.get(alert_id)
            acknowledged[alert_id] = [None, None] if given is None else [given[name] for name in ACKNOWLEDGEMENT]
            right = {**before, "action": "acknowledged"}
            if given is not None and given["revision"] > revision:
                faults.append(f"{client.name}: {event} {alert_id} {revision}, given at {given['revision']}")
        else:
            right = steps.get(place_of(step), step)
            if revision != before["revision"] + 1:
                faults.append(f"{client.name}: {event} {alert_id} {revision} after {before['revision'] or None}")
            newest[alert_id] = max(before, step, key=lambda one: one["revision"])
        by = [step[name] for name in ACKNOWLEDGEMENT]
        if by != acknowledged.get(alert_id, [None, None]):
            faults.append(f"{client.name}: {event} {alert_id} {revision} says that {by[0]} acknowledged it")
        if _bare(right) != _bare(step):
            faults.append(f"{client.name}: {event} says {step}\n      and not {right}")
    return faults


def _bare(step: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in step.items() if name not in (*ACKNOWLEDGEMENT, _CALLER)}


class Delays(NamedTuple):
    """How long each client waited for each new alert, from when the record was sent that made its window final.

    Attributes:
        milliseconds: of all clients, ascending.
        longest: of each alert, by camera and when it was triggered.
    """

    milliseconds: list[float]
    longest: dict[str, float]


def delays_of(
    clients: Sequence[EventsClient], traffic: Traffic, kills_began: float, aim_ms: float
) -> tuple[Delays, Delays]:
    """The delays of new alerts before the kills began (all of them when there were none), and after.

    Those that might still be on their way when the kills began, as fast as they must be, count among the latter.

    Not measured are alerts that no picture raised: of silent cameras, and of windows behind which no picture came.
    """
    found = Delays([], {}), Delays([], {})
    for client in clients:
        for at, event, step, _ in client.heard:
            if event != "new_alert" or step["alert_type"] == "camera_silent":
                continue
            sent = traffic.final_since(step["camera_id"], epoch_us(step["triggered_at"]))
            if sent is not None:
                delays, delay_ms = found[sent + aim_ms / 1000 >= kills_began], (at - sent) * 1000
                name = f"{step['alert_type']} {step['camera_id']} {step['triggered_at']}"
                delays.milliseconds.append(delay_ms)
                delays.longest[name] = max(delay_ms, delays.longest.get(name, 0))
    for delays in found:
        delays.milliseconds.sort()
    return found
