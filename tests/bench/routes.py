"""Routes beside networkx and scipy: ``python -m tests.bench.routes`` prints a table and writes ``build/routes.json``.

Every way between random junctions is compared with scipy's. Rows with plain names are of the large network where it is
there (main roads between Braunschweig, Hannover and Wolfsburg, with turns), rows of Bologna begin with its name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import networkx
import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from tests.bench.route_requests import requests
from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.graph.index import DISTANCE_LIMIT_M
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.router import CchRouter, Metric, node_states
from trafficapp.roads.routing.routes import Place, RoutePlanner, Unreachable
from trafficapp.roads.routing.weights import HORIZONS_SECONDS, travel_times

ROOT = Path(__file__).resolve().parents[2]
BOLOGNA = ROOT / "tests" / "data" / "roads"
LARGE = ROOT.parent / "shared" / "data" / "roads"

_REPEATS = 15
_SOME = 100
_MOST_RATIO_OFF = 1e-3


class Row(NamedTuple):
    """One figure."""

    name: str
    value: float
    unit: str


class Peer:
    """The same questions for scipy and networkx. A state is the beginning of an edge here, so they share no code."""

    def __init__(self, graph: RoadGraph, seconds: np.ndarray) -> None:
        self.graph, self.seconds = graph, seconds
        costs = seconds[graph.turn_from] + graph.turn_seconds
        count = graph.edge_count
        self.matrix = csr_array((costs, (graph.turn_from, graph.turn_to)), shape=(count, count))
        self.network = networkx.DiGraph()
        self.network.add_nodes_from(range(count))
        turns = zip(graph.turn_from.tolist(), graph.turn_to.tolist(), costs.tolist(), strict=True)
        self.network.add_weighted_edges_from(turns, weight="seconds")
        ends = [(edge, ("to", node), seconds[edge]) for edge, node in enumerate(graph.edge_to.tolist())]
        self.network.add_weighted_edges_from(ends, weight="seconds")

    def scipy(self, from_node: int, to_node: int) -> float:
        """Seconds between two junctions; inf when no way leads there."""
        first, last = self.graph.edges_out_of[from_node], self.graph.edges_into[to_node]
        if not first or not last:
            return inf
        reached = dijkstra(self.matrix, indices=first, min_only=True)
        return float((reached[last] + self.seconds[last]).min())

    def networkx(self, from_node: int, to_node: int) -> float:
        """The same, with the way."""
        first = self.graph.edges_out_of[from_node]
        try:
            seconds, _ = networkx.multi_source_dijkstra(self.network, first, ("to", to_node), weight="seconds")
        except (networkx.NetworkXNoPath, networkx.NodeNotFound, ValueError):
            return inf
        return float(seconds)


def timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and the answer."""
    began = time.perf_counter()
    answer = ask()
    return (time.perf_counter() - began) * 1000, answer


def median(ask: Callable[[], Any], repeats: int = _REPEATS) -> float:
    """Milliseconds, the median of some."""
    return float(np.median([timed(ask)[0] for _ in range(repeats)]))


def cost(metric: Metric, graph: RoadGraph, from_node: int, to_node: int) -> float:
    """Seconds of our way between two junctions."""
    way = metric.way(*node_states(metric, graph, from_node, to_node))
    return inf if way is None else way.seconds


def pairs_of(graph: RoadGraph, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Different junctions by chance."""
    drawn = rng.integers(graph.node_count, size=(2 * count, 2))
    return [(one, other) for one, other in drawn.tolist() if one != other][:count]


def queries(graph: RoadGraph, arguments: argparse.Namespace) -> list[Row]:
    """Ways between junctions, each compared, under speeds by chance."""
    rng = np.random.default_rng(arguments.seed)
    seconds = graph.free_flow_seconds * rng.uniform(1, 6, graph.edge_count)
    built, router = timed(lambda: CchRouter(graph))
    metric, peer = router.customize(seconds), Peer(graph, seconds)
    pairs = pairs_of(graph, 10 * arguments.pairs, rng)
    ours, scipys, networkxs, off, unreachable = [], [], [], 0.0, 0
    for one, other in pairs:
        took, found = timed(lambda one=one, other=other: cost(metric, graph, one, other))
        ours.append(took)
        took, expected = timed(lambda one=one, other=other: peer.scipy(one, other))
        scipys.append(took)
        if (found == inf) != (expected == inf):
            raise SystemExit(f"{one} to {other}: {found} s, and {expected} s with scipy")
        if expected == inf:
            unreachable += 1
            continue
        off = max(off, abs(found / expected - 1))
        if len(ours) - unreachable == arguments.pairs:
            break
        if len(networkxs) < arguments.networkx_pairs:
            took, slowest = timed(lambda one=one, other=other: peer.networkx(one, other))
            networkxs.append(took)
            off = max(off, abs(found / slowest - 1))
    return [
        Row("build", built, "ms"),
        Row("query_p50", float(np.percentile(ours, 50)), "ms"),
        Row("query_p99", float(np.percentile(ours, 99)), "ms"),
        Row("scipy_p50", float(np.percentile(scipys, 50)), "ms"),
        Row("networkx_p50", float(np.percentile(networkxs, 50)), "ms"),
        Row("max_cost_error", off, "ratio"),
        Row("pairs", len(ours) - unreachable, "pairs"),
        Row("unreachable", unreachable, "pairs"),
    ]


def changes(graph: RoadGraph, arguments: argparse.Namespace) -> list[Row]:
    """From changed speeds at all horizons to answers under them, and the same for the speeds now alone."""
    rng = np.random.default_rng(arguments.seed)
    planner = RoutePlanner(graph)
    speeds = graph.free_flow_kmh * rng.uniform(0.1, 1, (len(HORIZONS_SECONDS), graph.edge_count))

    def all_of_them() -> None:
        speeds[:] = graph.free_flow_kmh * rng.uniform(0.1, 1)
        speeds[:] *= rng.uniform(0.5, 1, speeds.shape)
        planner.use(planner.prepare(travel_times(graph, speeds), "all"))

    def some() -> None:
        changed = rng.choice(graph.edge_count, _SOME, replace=False)
        speeds[:, changed] = rng.uniform(5, 50, (len(speeds), _SOME))
        planner.use(planner.prepare(travel_times(graph, speeds), "some"))

    metric = planner.conditions.metrics[0]

    def some_now() -> None:
        changed = rng.choice(graph.edge_count, _SOME, replace=False)
        metric.updated(dict(zip(changed.tolist(), rng.uniform(5, 50, _SOME).tolist(), strict=True)))

    return [
        Row("all_weights", median(all_of_them), "ms"),
        Row("some_weights", median(some), "ms"),
        Row("some_weights_one_horizon", median(some_now), "ms"),
    ]


def predicted(graph: RoadGraph, seed: int) -> np.ndarray:
    """Speeds now and later by chance."""
    rng = np.random.default_rng(seed)
    now = graph.free_flow_kmh * rng.uniform(0.3, 1, graph.edge_count)
    return np.asarray(now * rng.uniform(0.7, 1.3, (len(HORIZONS_SECONDS), graph.edge_count)))


def over_http(graph: RoadGraph, arguments: argparse.Namespace) -> list[Row]:
    """The same questions at an HTTP client of a worker."""
    pairs = pairs_of(graph, arguments.pairs, np.random.default_rng(arguments.seed))
    return [Row(*row) for row in asyncio.run(requests(graph, pairs, predicted(graph, arguments.seed)))]


def recommendations(graph: RoadGraph, arguments: argparse.Namespace) -> list[Row]:
    """Whole answers in one process: places, route, alternatives, line, congestion, under predicted speeds."""
    rng = np.random.default_rng(arguments.seed)
    planner = RoutePlanner(graph)
    planner.use(planner.prepare(travel_times(graph, predicted(graph, arguments.seed)), "predicted"))
    took, alternatives = [], []
    for one, other in pairs_of(graph, arguments.pairs, rng):
        places = [Place(float(graph.node_lat[node]), float(graph.node_lon[node])) for node in (one, other)]
        try:
            milliseconds, answer = timed(lambda places=places: planner.recommend(*places, limit_m=DISTANCE_LIMIT_M))
        except Unreachable:
            continue
        took.append(milliseconds)
        alternatives.append(len(answer.alternatives))
    return [
        Row("recommend_p50", float(np.percentile(took, 50)), "ms"),
        Row("recommend_p99", float(np.percentile(took, 99)), "ms"),
        Row("alternatives_mean", float(np.mean(alternatives)), "routes"),
    ]


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> list[Row]:
    """All figures of one network."""
    files = [folder / f"{name}_{what}.parquet" for what in ("nodes", "edges", "turns")]
    graph = import_graph(files, city=name, source="DLR-TS/sumo-scenarios@629e34c")
    parts = (queries, changes, recommendations, over_http)
    rows = [row for part in parts for row in part(graph, arguments)]
    show(f"{name}: {graph.edge_count:,} edges, {len(graph.turn_from):,} turns, seed {arguments.seed}", rows)
    return rows


def show(title: str, rows: list[Row]) -> None:
    """Print a table."""
    table = Table("figure", "value", "unit", title=title)
    for row in rows:
        table.add_row(row.name, f"{row.value:.6f}" if row.unit == "ratio" else f"{row.value:,.3f}", row.unit)
    Console().print(table)


def main() -> None:
    """Measure both networks and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--networkx-pairs", type=int, default=100, help="of these, for networkx, which is slow")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--roads", type=Path, default=LARGE, help="folder of the large network's tables")
    arguments = parser.parse_args()
    small = measure("bologna", BOLOGNA, arguments)
    rows = [Row(f"bologna_{row.name}", row.value, row.unit) for row in small]
    if (arguments.roads / "nds_simplified_edges.parquet").exists():
        large = measure("nds_simplified", arguments.roads, arguments)
    else:
        print(f"The large network is not in {arguments.roads}: figures are those of Bologna (--roads names a folder).")
        large = small
    rows = [*large, *rows]
    target = ROOT / "build" / "routes.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps([row._asdict() for row in rows], indent=1) + "\n")
    worst = max(row.value for row in rows if row.name.endswith("max_cost_error"))
    if worst > _MOST_RATIO_OFF:
        raise SystemExit(f"a cost is {worst:.2%} off")


if __name__ == "__main__":
    main()
