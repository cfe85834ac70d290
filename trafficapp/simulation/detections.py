"""What the cameras detect of the simulated vehicles, one picture a second, as in the recording."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import orjson

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.vehicles import FLEET, Fleet
from trafficapp.simulation.views import CameraView
from trafficapp.sources.outgoing import Outgoing
from trafficapp.topics import EVENTS_RAW

#: The recording's projection: metres to the camera, then a pinhole of 1100 pixels at 8 m above the road.
_BEYOND_ZONE_M, _TO_CAMERA_M = 5.0, 12.0
_FOCAL_PX, _MAST_M, _HORIZON_PX, _MIDDLE_PX, _LANE_M = 1100.0, 8.0, 540.0, 960.0, 3.2


class Cameras:
    """All cameras of the city.

    Args:
        graph: the road graph.
        views: the cameras, no two of one edge.
        vehicles_name: how names of vehicles begin.
        chance: the source of chance.
    """

    def __init__(
        self, graph: RoadGraph, views: Sequence[CameraView], vehicles_name: str, chance: np.random.Generator
    ) -> None:
        lanes = int(graph.lanes.max()) + 1
        self._view_of_edge = np.full(graph.edge_count, -1)
        self._begin_m, self._end_m = np.full((len(views), lanes), np.inf), np.zeros((len(views), lanes))
        for number, view in enumerate(views):
            if self._view_of_edge[view.edge] >= 0:
                raise ValueError(f"camera {view.camera_id} sees an edge that another one sees")
            self._view_of_edge[view.edge] = number
            for lane in view.lanes:
                self._begin_m[number, lane.lane_id] = lane.begin_m
                self._end_m[number, lane.lane_id] = lane.end_m
        self._names = [view.camera_id for view in views]
        self._lanes = np.array([len(view.lanes) for view in views])
        self._vehicles_name, self._chance = vehicles_name, chance

    def picture(self, fleet: Fleet, time_us: int) -> Iterator[Outgoing]:
        """Yield a message for each vehicle that a camera sees."""
        view = self._view_of_edge[fleet.edge]
        lane = np.minimum(fleet.lane, self._begin_m.shape[1] - 1)
        inside = (view >= 0) & (self._begin_m[view, lane] <= fleet.position_m)
        seen = np.flatnonzero(inside & (fleet.position_m <= self._end_m[view, lane]))
        view, lane, kind = view[seen], lane[seen], fleet.kind[seen]
        distance_m = self._end_m[view, lane] - fleet.position_m[seen] + _BEYOND_ZONE_M + _TO_CAMERA_M
        scale = _FOCAL_PX / distance_m
        sizes = np.array([(width, height) for _, _, width, height in FLEET])[kind] * scale[:, None]
        centre_x = _MIDDLE_PX + (lane - (self._lanes[view] - 1) / 2) * _LANE_M * scale
        bottom = _HORIZON_PX + _MAST_M * scale
        confidence = np.clip(0.92 - 0.0012 * distance_m + 0.03 * self._chance.normal(size=len(seen)), 0.5, 0.999)
        columns = np.column_stack(
            [centre_x - sizes[:, 0] / 2, bottom - sizes[:, 1], sizes, centre_x, bottom - sizes[:, 1] / 2]
        )
        rows = zip(
            view.tolist(), lane.tolist(), kind.tolist(), fleet.number[seen].tolist(),
            np.round(columns, 1).tolist(), np.round(confidence, 3).tolist(),
            np.round(fleet.speed_kmh[seen], 2).tolist(), strict=True,
        )  # fmt: skip
        for camera, lane_id, kind_id, number, (x, y, w, h, cx, cy), sure, speed in rows:
            message = {
                "camera_id": self._names[camera],
                "timestamp": time_us // 1000,
                "frame_id": time_us // 1_000_000,
                "vehicle_id": f"{self._vehicles_name}{number}",
                "class": FLEET[kind_id][0],
                "confidence": sure,
                "bbox": {"x": x, "y": y, "w": w, "h": h},
                "centroid": {"x": cx, "y": cy},
                "lane_id": lane_id,
                "speed_estimate": speed,
            }
            yield Outgoing(time_us, self._names[camera].encode(), orjson.dumps(message), 1, EVENTS_RAW)
