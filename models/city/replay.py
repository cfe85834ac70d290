"""Body of ``/api/replay``: what happened in a stretch of time, small enough to be played back."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from models.alerts import AlertType, Severity
from models.cameras.window_rows import Level
from models.incidents.kinds import Kind, Lifecycle, SeverityClass
from models.roads.current import RoadCongestionLevel, SpeedFrom


class ReplayedRoad(Struct, frozen=True, array_like=True):
    """An observation of a road, as an array in this order.

    Attributes:
        at: when the speed was measured, seconds since the replay's ``from``; negative in the state that it begins with.
        current_speed: km/h.
        jam_factor: 0 (free) to 10 (closed).
        speed_from: None of a closed road.
    """

    at: float
    road_id: str
    current_speed: float
    jam_factor: float
    congestion_level: RoadCongestionLevel
    closed: bool
    speed_from: SpeedFrom | None


class ReplayedWindow(Struct, frozen=True, array_like=True):
    """The camera-wide row of a finished window, as an array in this order.

    Attributes:
        at: when the window ended, seconds likewise: it was not known before.
        avg_speed_kmh: None when nothing in it had a speed.
    """

    at: float
    camera_id: str
    vehicle_count: int
    avg_speed_kmh: float | None
    queue_length: int
    congestion_level: Level
    congestion_score: float | None


class ReplayedPlace(Struct, frozen=True, array_like=True):
    """Where a vehicle was, as an array in this order.

    Attributes:
        at: when, by the clock of the vehicle, seconds likewise.
        kind: ``bus``, ``train`` and so on as its feed says; ``car`` of connected cars and trackers.
    """

    at: float
    vehicle_id: str
    kind: str
    latitude: float
    longitude: float


class ReplayedAlert(Struct, frozen=True):
    """An alert that was open at some time of the stretch.

    Attributes:
        from_at: when it opened, seconds likewise.
        to_at: when it ended; None when it had not ended by now.
    """

    id: str
    alert_type: AlertType
    severity: Severity
    camera_id: str | None
    title: str
    from_at: float
    to_at: float | None


class ReplayedIncident(Struct, frozen=True):
    """An incident that went on at some time of the stretch, with what is known of it by now.

    Attributes:
        from_at: when it was first reported, seconds likewise.
        to_at: when it was cleared; None when it was not by now.
    """

    incident_id: str
    kind: Kind
    severity: SeverityClass
    state: Lifecycle
    closed: bool
    latitude: float
    longitude: float
    description: str
    from_at: float
    to_at: float | None


#: What a replay may leave out, since it was more than an answer holds.
ReplayPart = Literal["roads", "cameras", "vehicles"]


class Replay(Struct, frozen=True, kw_only=True):
    """What happened in ``[from, to)``.

    Attributes:
        from_, to: RFC 3339 UTC.
        simulated: whether some of it is of a simulated city.
        roads, cameras: in order of their times; with ``state`` led by the newest of each before ``from``.
        vehicles: of public transport, and connected cars where the caller may know of them; in order of their times.
        alerts, incidents: those that went on at any time of it.
        cut: what there was more of than an answer holds: ask for a shorter stretch.
    """

    from_: str = msgspec.field(name="from")
    to: str
    simulated: bool
    roads: list[ReplayedRoad]
    cameras: list[ReplayedWindow]
    vehicles: list[ReplayedPlace]
    alerts: list[ReplayedAlert]
    incidents: list[ReplayedIncident]
    cut: list[ReplayPart] = msgspec.field(default_factory=list)


encode_replay = msgspec.json.Encoder().encode
