"""The health of a camera or of one of its lanes: topic ``source_health``, and what it is judged by."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

#: Why a source is not to be trusted; of several the first one of this order is told.
Reason: TypeAlias = Literal[
    "two_partitions",
    "one_id",
    "clock_drift",
    "id_churn",
    "impossible_speed",
    "chatter",
    "locked_on",
    "no_change",
    "spike",
    "no_hits",
    "silent",
    "out_of_bounds",
    "jumps",
    "stuck",
]
#: Sources that tell one reading at a time.
SourceKind: TypeAlias = Literal["road", "station", "vehicle"]


class SourceHealth(Struct, frozen=True, kw_only=True):
    """How far a source is to be trusted, by its newest window.

    Attributes:
        source_id: the camera's id; of a lane ``<camera_id>/<lane_id>``; of others ``<kind>:<id>``.
        kind: of source.
        camera_id: of the camera; null of what is none.
        lane_id: of the lane; null for the camera as a whole, and of what is none.
        state: ``unhealthy`` while one of the rules says so.
        reason: which rule; null while it is healthy.
        since: since when it is in this state, RFC 3339, by the times of its windows.
        evidence: a sentence with the numbers.
        completeness: of the windows of the last one to two hours, the share in which it counted something; a road
            without traffic lowers it. Of what has no windows: readings by those that are due by its usual gap.
        validity: of those in which it did, the share that no rule had a doubt about.
        timeliness: of the same, the share that was final within a minute after its end.
        timestamp: end of its newest window, RFC 3339.
    """

    source_id: str
    kind: Literal["camera", "lane", "road", "station", "vehicle"] = "camera"
    camera_id: str | None
    lane_id: int | None
    state: Literal["healthy", "unhealthy"]
    reason: Reason | None
    since: str
    evidence: str
    completeness: float
    validity: float
    timeliness: float
    timestamp: str


class ObservedWindow(Struct, array_like=True, frozen=True, gc=False):
    """What the rules read of a finished window: of a camera, or of one of its lanes.

    Attributes:
        camera_id: of the camera.
        lane_id: of the lane; None for the camera as a whole.
        start_us: begin of the window, microseconds since the epoch.
        end_us: its end, likewise.
        vehicles: distinct ones.
        detections: of them.
        speed_kmh: mean; None without any.
        stopped_ratio: share of speeds that count as stopped, 0..1; None likewise.
        partition: of finished windows that it came in; None where that is not told.
    """

    camera_id: str
    lane_id: int | None
    start_us: int
    end_us: int
    vehicles: int
    detections: int
    speed_kmh: float | None
    stopped_ratio: float | None
    partition: int | None = None


class SourceReading(Struct, array_like=True, frozen=True, gc=False):
    """What the rules read of a road, a station or a vehicle.

    Attributes:
        kind: of source.
        source_id: its id.
        time_us: when it happened, by the producer's clock, microseconds since the epoch.
        record_us: when it came, by the broker's clock; the same where that is not known.
        values: that are compared, as the kind has them.
        told: the same for people.
        possible: whether they can be at all.
        moves: whether values of this source change from reading to reading now.
        regular: whether it tells at even gaps.
    """

    kind: SourceKind
    source_id: str
    time_us: int
    record_us: int
    values: tuple[float, ...]
    told: str
    possible: bool = True
    moves: bool = True
    regular: bool = True
