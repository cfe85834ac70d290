"""How the demand of Bologna's morning peak was made; needs the probes of the recorded hour and the parquet road graph.

``python -m trafficapp.simulation.data.make_demand gps_probes.parquet bologna_edges.parquet bologna_nodes.parquet
bologna_turns.parquet``
"""

from __future__ import annotations

import heapq
import json
import sys
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq

#: One vehicle in ten was a probe.
_VEHICLES_PER_PROBE = 10
#: The recording ends here: what is still under way then has not arrived.
_END_MS = 1_768_374_000_000 + 3_590_000
#: Probes miss short edges between two fixes 5 s apart; what lies further apart was driven off the graph.
_LONGEST_GAP_M = 400.0
_SOURCE = (
    "Counted from probes of the scenario bologna/joined (SUMO), DLR-TS/sumo-scenarios, commit 629e34c, EPL-2.0; "
    "vehicles in the morning peak hour"
)


def main(probes: Path, edges: Path, nodes: Path, turns: Path, out: Path) -> None:
    """Count entries, turns and arrivals of the peak hour, and note the signals."""
    length = {row["edge_id"]: row["length_m"] for row in pq.read_table(edges).to_pylist()}
    onward: dict[str, list[str]] = defaultdict(list)
    for row in pq.read_table(turns).to_pylist():
        onward[row["from_edge"]].append(row["to_edge"])
    entries, arrivals, turned = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for fixes in _drives(probes).values():
        known = [(ms, edge) for ms, edge in sorted(fixes) if edge in length]
        if not known:
            continue
        path = [known[0][1]]
        entries[path[0]] += 1
        for (_, before), (_, after) in pairwise(known):
            if before == after:
                continue
            between = _shortest(before, after, onward, length)
            if between is None:
                arrivals[before] += 1
                entries[after] += 1
            else:
                turned.update(pairwise([before, *between]))
        if known[-1][0] < _END_MS:
            last = known[-1][1]
            while onward[last] and length[last] < _LONGEST_GAP_M:
                following = max(onward[last], key=lambda edge: (turned[last, edge], edge))
                if onward[following] or arrivals[following] == 0:
                    break
                turned[last, following] += 1
                last = following
            arrivals[last] += 1
    document = {
        "source": _SOURCE,
        "signals": sorted(row["node_id"] for row in pq.read_table(nodes).to_pylist() if row["type"] == "traffic_light"),
        "entries": _scaled(entries),
        "arrivals": _scaled(arrivals),
        "turns": [[*pair, count * _VEHICLES_PER_PROBE] for pair, count in sorted(turned.items())],
    }
    out.write_text(json.dumps(document, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def _drives(probes: Path) -> dict[str, list[tuple[int, str]]]:
    table = pq.read_table(probes, columns=["vehicle_id", "ts", "edge_true"])
    drives: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for vehicle, ms, edge in zip(*(column.to_pylist() for column in table.columns), strict=True):
        drives[vehicle].append((ms, edge))
    return drives


def _shortest(start: str, end: str, onward: dict[str, list[str]], length: dict[str, float]) -> list[str] | None:
    """Edges after `start` up to and with `end`; None when they lie too far apart."""
    heap: list[tuple[float, str, list[str]]] = [(0.0, start, [])]
    seen = set()
    while heap:
        driven_m, edge, path = heapq.heappop(heap)
        if edge == end and path:
            return path
        if edge in seen or driven_m > _LONGEST_GAP_M:
            continue
        seen.add(edge)
        for following in onward[edge]:
            inside_m = 0.0 if following == end else length[following]
            heapq.heappush(heap, (driven_m + inside_m, following, [*path, following]))
    return None


def _scaled(counts: Counter[str]) -> dict[str, int]:
    return {edge: count * _VEHICLES_PER_PROBE for edge, count in sorted(counts.items())}


if __name__ == "__main__":
    _probes, _edges, _nodes, _turns = map(Path, sys.argv[1:])
    main(_probes, _edges, _nodes, _turns, Path(__file__).parent / "bologna-demand.json")
