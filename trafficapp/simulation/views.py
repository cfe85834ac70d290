"""The forty cameras: which stretch of which lanes each sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from trafficapp.roads.graph.road_graph import RoadGraph


@dataclass(frozen=True, slots=True)
class LaneView:
    """What a camera sees of a lane, in metres from the lane's beginning."""

    lane_id: int
    begin_m: float
    end_m: float

    @property
    def length_m(self) -> float:
        """Length that is seen."""
        return self.end_m - self.begin_m


@dataclass(frozen=True, slots=True)
class CameraView:
    """A camera and the edge it looks at.

    Attributes:
        camera_id: its name.
        edge: position of the edge on the graph.
        lanes: the lanes that are seen.
        edge_length_m: length of the lanes as the camera's calibration has it.
    """

    camera_id: str
    edge: int
    lanes: tuple[LaneView, ...]
    edge_length_m: float


@lru_cache(maxsize=1)
def shipped_views(graph: RoadGraph) -> tuple[CameraView, ...]:
    """The cameras that ship with the project, in order of their names."""
    path = Path(__file__).parent.parent / "sources" / "data" / "bologna-cameras.json"
    views = []
    for camera in json.loads(path.read_bytes())["cameras"]:
        lanes = camera["calibration"]["lanes"]
        seen = tuple(LaneView(lane["lane_id"], lane["zone_begin_m"], lane["zone_end_m"]) for lane in lanes)
        edge = graph.position_of_edge[camera["road_segment"]]
        views.append(CameraView(camera["camera_id"], edge, seen, lanes[0]["length_m"]))
    return tuple(sorted(views, key=lambda view: view.camera_id))
