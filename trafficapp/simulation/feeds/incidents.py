"""The two desks of the simulated city: they report what bars its roads, and when that is cleared."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np
import orjson

from models.timestamps import epoch_us, rfc3339
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.chance import DayChance, Incident
from trafficapp.simulation.feeds.forms import LocalClock, MessageIds
from trafficapp.simulation.probes import places_along
from trafficapp.sources.outgoing import Outgoing

TRAFFIC_INCIDENTS, EMERGENCY_INCIDENTS = "traffic_incidents", "emergency_incident_data"

#: After how long somebody calls, the desk has seen it, and the road is closed where nearly nothing gets by.
_CALLED, _SEEN, _CLOSED = timedelta(seconds=40), timedelta(seconds=100), timedelta(seconds=220)
#: Loss of capacity from which it is an accident rather than a car that broke down, a bad one, and a closed road.
ACCIDENT_LOSS, BAD_LOSS, CLOSING_LOSS = 0.65, 0.8, 0.9
#: The emergency desk says the first and the last, the incident desk the others.
_Step: TypeAlias = Literal["active", "seen", "closed", "resolved"]
_NAMESPACE = uuid.UUID("5f0c1f5e-6f0a-4c3e-9a51-0b9f2f7f6e21")


@dataclass
class _Known:
    incident: Incident
    told: int = 0


class Desks:
    """Reports incidents of the simulation.

    Args:
        graph: the road graph.
        shift: the city's time less the clock.
        clock: of the emergency desk.
        ids: of messages.
    """

    def __init__(self, graph: RoadGraph, shift: timedelta, clock: LocalClock, ids: MessageIds) -> None:
        self._graph, self._shift, self._clock, self._ids = graph, shift, clock, ids
        self._known: dict[tuple[int, datetime], _Known] = {}

    def reports(self, chance: DayChance, played: datetime, time_us: int) -> Iterator[Outgoing]:
        """Yield what the desks say by now that they have not said.

        Args:
            chance: what happens on this day.
            played: the time in the city.
            time_us: the clock's.
        """
        for incident in chance.incidents:
            if incident.start <= played < incident.end:
                self._known.setdefault((incident.edge, incident.start), _Known(incident))
        for key, known in list(self._known.items()):
            steps = _steps(known.incident)
            while known.told < len(steps) and steps[known.told][0] <= played:
                due, step = steps[known.told]
                known.told += 1
                yield self._message(known.incident, step, epoch_us(due - self._shift), time_us)
            if known.told == len(steps):
                del self._known[key]

    def _message(self, incident: Incident, step: _Step, happened_us: int, time_us: int) -> Outgoing:
        edge = incident.edge
        middle = np.array([self._graph.length_m[edge] / 2])
        lat, lon, heading = (round(float(found[0]), 6) for found in places_along(self._graph, np.array([edge]), middle))
        incident_id = f"inc-{epoch_us(incident.start - self._shift) // 1_000_000}-{self._graph.edge_ids[edge]}"
        blocked = f"{incident.capacity_loss:.0%} of the road {self._graph.road_name(edge)} blocked"
        told: dict[str, object]
        if step in {"active", "resolved"}:
            word = "Accident" if incident.capacity_loss >= ACCIDENT_LOSS else "Breakdown"
            key = self._ids.next()
            told = {
                "id": key,
                "device_id": f"patrol-{edge % 7 + 1}",
                "incidentId": str(uuid.uuid5(_NAMESPACE, incident_id)),
                "timestamp": self._clock.naive(happened_us),
                "location": [lat, lon],
                "incident_type": word,
                "status": "Active" if step == "active" else "Resolved",
                "description": f"{word}, {blocked}" if step == "active" else f"{word} cleared",
            }
            return Outgoing(time_us, key.encode(), orjson.dumps(told), 0, EMERGENCY_INCIDENTS)
        told = {
            "incident_id": incident_id,
            "type": "road_closure" if step == "closed" else "accident",
            "latitude": lat,
            "longitude": lon,
            "severity": 5 if step == "closed" else 4 if incident.capacity_loss >= BAD_LOSS else 3,
            "description": f"Closed for an accident, {blocked}" if step == "closed" else f"Accident, {blocked}",
            "timestamp": rfc3339(happened_us),
            "heading": heading,
        }
        return Outgoing(time_us, incident_id.encode(), orjson.dumps(told), 0, TRAFFIC_INCIDENTS)


def _steps(incident: Incident) -> list[tuple[datetime, _Step]]:
    """What is said of an incident, and when, in the city's time."""
    start, loss = incident.start, incident.capacity_loss
    steps: list[tuple[datetime, _Step]] = [(start + _CALLED, "active")]
    if loss >= ACCIDENT_LOSS:
        steps.append((start + _SEEN, "seen"))
    if loss >= CLOSING_LOSS:
        steps.append((start + _CLOSED, "closed"))
    return [step for step in steps if step[0] < incident.end] + [(incident.end, "resolved")]
