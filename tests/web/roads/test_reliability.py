"""Corridors from the administrator to the surface, and reliability of roads, corridors and zones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from models.timestamps import rfc3339
from tests.stores.postgres.records import window
from tests.stores.roads.observations import T0_US, observation
from tests.web.administration.conftest import Call, caller
from tests.web.conftest import Worker
from tests.web.stored import keep_roads, keep_windows
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.stores.migrations import migrate
from trafficapp.windows.speed_sketch import count_speeds

SPAN = "from=2026-01-14T07:00:00Z&to=2026-01-14T09:00:00Z"
PATH = "/api/admin/corridors"
TABLES = "corridors, road_observations, roads, sink_offsets, audit_logs, monitoring_zones, cameras"
SUMS = "traffic_metrics, metrics_1m, metrics_1h, lane_sums_1m, lane_sums_1h"


def chained(graph: RoadGraph) -> list[int]:
    """Two edges that follow each other, and one that touches neither."""
    for second, begin in enumerate(graph.edge_from.tolist()):
        for first, end in enumerate(graph.edge_to.tolist()):
            if end == begin and graph.edge_from[first] != graph.edge_to[second]:
                nodes = {*graph.edge_from[[first, second]].tolist(), *graph.edge_to[[first, second]].tolist()}
                off = next(
                    e for e in range(len(graph.edge_ids)) if graph.edge_from[e] not in nodes | {graph.edge_to[e]}
                )
                return [first, second, off]
    raise AssertionError("no edge follows another one")


@pytest.fixture
async def call(history_worker: Worker, database_url: str) -> AsyncIterator[Call]:
    """A worker behind which three roads were observed every five minutes for two hours, the second one jammed late."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"TRUNCATE {TABLES}, {SUMS} RESTART IDENTITY")
    settings = history_worker.context.settings
    graph = city_graph(settings.roads)
    seen = []
    for name, edge in zip(("a", "b", "off"), chained(graph), strict=True):
        line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
        points = list(zip(graph.shape_lon[line].tolist(), graph.shape_lat[line].tolist(), strict=True))
        for step in range(24):
            if name == "b" and step in (3, 4, 5):
                continue
            seen.append(
                observation(
                    name, timestamp=rfc3339(T0_US + step * 300_000_000), event_id=f"{name}{step}",
                    road_name=f"Via {name}", current_speed=10.0 if name == "b" and step >= 12 else 50.0,
                    edges=[(str(graph.edge_ids[edge]), 1.0)], coordinates=points,
                )
            )  # fmt: skip
    await keep_roads(settings, *seen)
    await history_worker.context.registry.refresh()
    yield caller(history_worker)
    await connection.execute(f"TRUNCATE {TABLES}, {SUMS} RESTART IDENTITY")
    await connection.close()


async def test_a_corridor_lives_from_post_to_delete(call: Call) -> None:
    made = await call("POST", PATH, {"name": "Ring", "road_ids": ["a", "b"]}, 201)
    assert (made["name"], made["road_ids"], made["description"]) == ("Ring", ["a", "b"], None)
    assert await call("GET", f"{PATH}/{made['id']}") == made
    assert await call("GET", PATH) == await call("GET", "/api/corridors") == [made]
    await call("POST", PATH, {"name": "Ring", "road_ids": ["a"]}, 409)
    for roads, reason in ((["a", "off"], "does not begin where 'a' ends"), (["a", "no"], "there is no road 'no'")):
        problem = await call("POST", PATH, {"name": "Other", "road_ids": roads}, 422)
        assert reason in problem["detail"]
    await call("POST", PATH, {"name": "Other", "road_ids": []}, 422)
    audited = await call("GET", "/api/admin/audit")
    assert [row["action"] for row in audited] == ["corridors.create"]
    await call("DELETE", f"{PATH}/{made['id']}", status=204)
    for path in (f"{PATH}/{made['id']}", f"/api/corridors/{made['id']}/reliability", "/api/roads/no/reliability"):
        await call("GET", path, status=404)


async def test_reliability_and_surface_of_what_was_measured(call: Call) -> None:
    corridor = (await call("POST", PATH, {"name": "Ring", "road_ids": ["a", "b"]}, 201))["id"]
    found = await call("GET", f"/api/corridors/{corridor}/reliability?{SPAN}&tz=UTC")
    figures = found["reliability"]
    # of the eight quarters the second is not known of the one road
    assert (figures["steps"], figures["measured_steps"], figures["coverage"]) == (8, 7, 0.875)
    road = (await call("GET", f"/api/roads/b/reliability?{SPAN}"))["reliability"]
    assert road["travel_time_index"] == pytest.approx((3 + 4 * 5) / 7, abs=0.0001)
    assert (road["planning_time_index"], road["lottr"]) == (5.0, 1.0)
    length_a = figures["length_m"] - road["length_m"]
    seconds = (length_a + road["length_m"] * (3 + 4 * 5) / 7) * 3.6 / 50
    assert figures["mean_seconds"] == pytest.approx(seconds, abs=0.1)
    surface = await call("GET", f"/api/corridors/{corridor}/surface?{SPAN}")
    assert (surface["step_seconds"], len(surface["starts"])) == (300, 24)
    assert surface["speeds_kmh"] == [[50.0] * 24, [50.0] * 3 + [None] * 3 + [50.0] * 6 + [10.0] * 12]
    ring = [
        {"lat": 44.0, "lon": 11.0},
        {"lat": 44.0, "lon": 12.0},
        {"lat": 45.0, "lon": 12.0},
        {"lat": 45.0, "lon": 11.0},
    ]
    await call("POST", "/api/admin/zones", {"name": "Centro", "coordinates": ring}, 201)
    zone = (await call("GET", f"/api/zones/Centro/reliability?{SPAN}"))["reliability"]
    assert (zone["roads"], zone["measured_steps"]) == (3, 8)
    await call("GET", f"/api/zones/nowhere/reliability?{SPAN}", status=404)
    await call("GET", f"/api/roads/b/reliability?{SPAN}&tz=Mars", status=400)


async def test_lanes_have_percentiles_and_flows_and_give_volumes(call: Call, history_worker: Worker) -> None:
    await call("POST", "/api/admin/cameras", {"camera_id": "cam_01", "road_segment": "Via b"}, 201)
    speeds = [20.0] * 15 + [40.0] * 70 + [60.0] * 15
    rows = [
        window(number=number, lane_id=lane, detections=20, pictures=10, speed_counts=count_speeds(speeds))
        for number in range(1440) for lane in (None, 1)
    ]  # fmt: skip
    await keep_windows(history_worker.context.settings, *rows)
    # it begins within a minute, and ends within an hour
    span = "from=2026-01-14T07:00:30Z&to=2026-01-14T08:40:00Z"
    found = await call("GET", f"/api/analytics/lanes?{span}")
    whole, lane = found["lanes"]
    assert (whole["lane_id"], lane["lane_id"], lane["windows"], lane["speeds"]) == (None, 1, 1194, 119_400)
    assert [lane[f"p{share}_speed_kmh"] for share in (15, 50, 85, 95)] == pytest.approx([20, 40, 40, 60], rel=0.01)
    # three are seen in a window of five seconds, of which two were there when it began
    assert (lane["flow_vehicles_per_hour"], lane["headway_seconds"], lane["vehicles_in_view"]) == (720.0, 5.0, 2.0)
    assert (whole["flow_vehicles_per_hour"], whole["headway_seconds"]) == (720.0, None)
    assert found["all_cameras"]["speeds"] == 119_400
    response = await history_worker.client.get(f"/api/analytics/lanes?{span}&camera_id=cam_01&format=csv")
    lines = (await response.text()).splitlines()
    assert (response.content_type, len(lines)) == ("text/csv", 3)
    assert lines[0].startswith("camera_id,lane_id,windows")
    road = (await call("GET", f"/api/roads/b/reliability?{SPAN}"))["reliability"]
    assert road["vehicles_per_hour"] == 720.0
    assert road["vehicle_km"] == pytest.approx(720 * 1.75 * road["length_m"] / 1000, abs=0.1)
    history = await call("GET", "/metrics/history?camera_id=cam_01&from=2026-01-14T07:00:00Z&to=2026-01-14T07:00:05Z")
    assert [row["p85_speed_kmh"] for row in history] == pytest.approx([40], rel=0.01)
    corridor = (await call("POST", PATH, {"name": "Ring", "road_ids": ["a", "b"]}, 201))["id"]
    report = await history_worker.client.get(
        f"/api/analytics/report/pdf?start=2026-01-14T07:00:00Z&end=2026-01-14T09:00:00Z&corridor={corridor}"
    )
    assert (report.status, (await report.read())[:5]) == (200, b"%PDF-")


async def test_bottlenecks_comparisons_and_works(call: Call) -> None:
    found = await call("GET", f"/api/analytics/bottlenecks?{SPAN}")
    (worst,) = found["bottlenecks"]
    assert (worst["road_id"], worst["active_minutes"], worst["activations"]) == ("b", 60.0, 1)
    assert worst["delay_vehicle_hours"] > 0
    await call("GET", "/api/analytics/bottlenecks?from=2026-01-01T00:00:00Z&to=2026-03-01T00:00:00Z", status=400)
    spans = "before_from=2026-01-14T07:00:00Z&before_to=2026-01-14T08:00:00Z"
    spans += "&after_from=2026-01-14T08:00:00Z&after_to=2026-01-14T09:00:00Z"
    compared = await call("GET", f"/api/roads/b/comparison?{spans}")
    assert (compared["before"]["days"], compared["relative"], compared["low_seconds"]) == (1, 4.0, None)
    works = await call("GET", "/api/roads/b/works?from=2026-01-15T07:00:00Z&to=2026-01-15T09:00:00Z")
    assert (works["steps"], works["compared_steps"], works["delay_seconds"]) == (8, 0, None)
    for kind in ("comparison", "works"):
        await call("GET", f"/api/corridors/99/{kind}?{spans}", status=404)
