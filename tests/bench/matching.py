"""Map matching on GPS probes of Bologna: ``python -m tests.bench.matching PROBES`` prints figures.

PROBES is a Parquet file with vehicle_id, ts (epoch ms), lat, lon, speed_kmh, heading_deg and edge_true, of a simulation
under the shipped road graph. Right is a fix that was put onto its true edge; fixes whose true edge the graph does not
have (inside of junctions, a few lanes of their own) are matched, but not judged. Fixes come as they would: all vehicles
of a moment in one run (107 on average), a backlog of a thousand in one, or all of a moment in a city of ten times the
size. Beside it fastmm (the wheel of FMM, in C++), which gets places only, each vehicle's whole trajectory at once.

CPU seconds of this process, of some repeats the quickest, ours and theirs in turn, as others disturb a measurement but
never help it. Wrong-way driving is measured on the same drives from their ends to their beginnings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from models.fleet.travels import Travel, WrongWay
from models.roads.notifications import RoadNotification
from trafficapp.fleet.road_speeds import Minute, speed_of
from trafficapp.fleet.travels import Driving, TravelRule
from trafficapp.fleet.wrong_ways import WrongWays
from trafficapp.matching.candidates import candidates_of
from trafficapp.matching.fixes import Fixes, SettledFixes
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.rule import MatchingRule
from trafficapp.matching.stretches import Stretches
from trafficapp.matching.traces import Traces
from trafficapp.movement.distance import METRES_PER_DEGREE
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import FleetSettings, RoadSettings

_RULE = MatchingRule()
_MORE_NOISE_M = 10.0
_SPARSE_US = 15_000_000
_SPAN_US = 300_000_000
_MINUTE_US = 60_000_000
_SEED = 7
#: A drive that is judged may have begun before, where other edges were near.
_BEFORE_US = 15_000_000


class Probes(NamedTuple):
    """Fixes with what is true of them."""

    fixes: Fixes
    edge: np.ndarray

    def some(self, which: Any) -> Probes:
        """Some of them."""
        one = self.fixes
        columns = (getattr(one, name)[which] for name in ("time_us", "lat", "lon", "speed_kmh", "heading"))
        return Probes(Fixes(np.array(one.vehicles)[which].tolist(), *columns), self.edge[which])

    def without(self, speed: bool = False, heading: bool = False, noise_m: float = 0.0) -> Probes:
        """The same with nothing told of speed or heading, and places that are wrong by so much more."""
        one, nothing = self.fixes, np.full(len(self.edge), np.nan)
        rng = np.random.default_rng(_SEED)
        north, east = rng.normal(0, noise_m, (2, len(self.edge))) / METRES_PER_DEGREE
        return Probes(
            Fixes(
                one.vehicles,
                one.time_us,
                one.lat + north,
                one.lon + east / np.cos(np.radians(one.lat)),
                nothing if speed else one.speed_kmh,
                nothing if heading else one.heading,
            ),
            self.edge,
        )


class Against(NamedTuple):
    """A vehicle drives against an edge."""

    vehicle: str
    time_us: int
    edge: int


class Found(NamedTuple):
    """What came of matching: settled fixes, edges as they seemed at once, wrong ways, CPU seconds."""

    settled: list[SettledFixes]
    now: np.ndarray
    wrong: list[Against]
    cpu_seconds: float


def by_moments(probes: Probes) -> list[Fixes]:
    """All vehicles of a moment in one run."""
    cuts = np.flatnonzero(np.diff(probes.fixes.time_us)) + 1
    return [probes.some(which).fixes for which in np.split(np.arange(len(probes.edge)), cuts)]


def by_thousands(probes: Probes) -> list[Fixes]:
    """Runs of a backlog."""
    cuts = np.arange(1000, len(probes.edge), 1000)
    return [probes.some(which).fixes for which in np.split(np.arange(len(probes.edge)), cuts)]


def tenfold(runs: Sequence[Fixes]) -> list[Fixes]:
    """A tenth of the runs, each with ten times the vehicles: what a city of ten times the size would send."""
    return [
        Fixes(
            [f"{vehicle} {copy}" for copy in range(10) for vehicle in run.vehicles],
            *(np.tile(getattr(run, name), 10) for name in ("time_us", "lat", "lon", "speed_kmh", "heading")),
        )
        for run in runs[: len(runs) // 10]
    ]


def match(roads: MatchingRoads, runs: Sequence[Fixes]) -> Found:
    """Put runs onto the graph one after the other, and settle what is silent as the clock goes on."""
    matcher, traces = Matcher(roads, _RULE), Traces(roads.graph.version)
    settled: list[SettledFixes] = []
    now, wrong = [], list[Against]()
    began = time.process_time()
    for run in runs:
        clock_us = int(run.time_us[-1])
        advanced = matcher.advance(traces, run, clock_us)
        settled += [advanced.settled, matcher.settle(traces, clock_us)]
        now.append(advanced.now.edge)
        wrong += [Against(run.vehicles[fix], int(run.time_us[fix]), edge) for fix, edge, _ in advanced.wrong_ways]
    settled.append(matcher.settle(traces, clock_us + _RULE.delay_us))
    return Found(settled, np.concatenate(now), wrong, time.process_time() - began)


def right(found: Found, probes: Probes) -> tuple[float, float]:
    """Shares on the true edge, when settled and at once."""
    keys = zip(probes.fixes.vehicles, probes.fixes.time_us.tolist(), strict=True)
    edges = {
        key: edge
        for one in found.settled
        for *key_, edge in zip(one.vehicles, one.time_us.tolist(), one.edge.tolist(), strict=True)
        for key in [tuple(key_)]
    }
    got = np.array([edges.get(key, -1) for key in keys])
    judged = probes.edge >= 0
    return float((got == probes.edge)[judged].mean()), float((found.now == probes.edge)[judged].mean())


def speed_errors(found: Found, probes: Probes, told: np.ndarray) -> np.ndarray:
    """Median speed of each edge and five minutes as matched, less the true one; of three fixes or more each."""

    def medians(edge: np.ndarray, time_us: np.ndarray, speed: np.ndarray) -> dict[int, float]:
        known = (edge >= 0) & ~np.isnan(speed)
        keys = edge[known] * 100_000 + (time_us[known] - probes.fixes.time_us[0]) // _SPAN_US
        order = np.argsort(keys, kind="stable")
        unique, begins = np.unique(keys[order], return_index=True)
        groups = np.split(speed[known][order], begins[1:])
        return {int(key): float(np.median(group)) for key, group in zip(unique, groups, strict=True) if len(group) >= 3}

    matched = medians(
        *(np.concatenate([getattr(one, name) for one in found.settled]) for name in ("edge", "time_us", "speed_kmh"))
    )
    true = medians(probes.edge, probes.fixes.time_us, told)
    return np.array([matched[key] - true[key] for key in matched.keys() & true.keys()])


class Fastmm:
    """The same graph and probes for fastmm: places only, each vehicle's at once."""

    def __init__(self, roads: MatchingRoads, folder: Path) -> None:
        import fastmm

        graph, network = roads.graph, fastmm.Network()
        points = list(map(tuple, roads.flat.metres(graph.shape_lat, graph.shape_lon).tolist()))
        for edge, (begin, end) in enumerate(zip(graph.shape_offsets[:-1], graph.shape_offsets[1:], strict=True)):
            network.add_edge(edge, int(graph.edge_from[edge]), int(graph.edge_to[edge]), points[begin:end])
        network.finalize()
        # its matcher does not keep the network alive
        self._roads, self._fastmm, self._network = roads, fastmm, network
        self._matcher = fastmm.FastMapMatch(network, fastmm.TransitionMode.SHORTEST, 2000.0, None, str(folder))

    def match(self, probes: Probes) -> tuple[float, float]:
        """Share on the true edge, and CPU seconds of matching alone."""
        places = self._roads.flat.metres(probes.fixes.lat, probes.fixes.lon)
        order = np.argsort(np.array(probes.fixes.vehicles), kind="stable")
        _, begins = np.unique(np.array(probes.fixes.vehicles)[order], return_index=True)
        own = np.split(order, begins[1:])
        paths = [self._fastmm.Trajectory.from_xy_tuples(list(map(tuple, places[which].tolist()))) for which in own]
        began = time.process_time()
        matched = [self._matcher.match(path, 8, 50.0, 10.0) for path in paths]
        seconds = time.process_time() - began
        got = np.full(len(probes.edge), -1)
        for which, one in zip(own, matched, strict=True):
            for part in one.subtrajectories:
                # a segment is what lies between two fixes
                for number, segment in enumerate(part.segments or []):
                    if segment.edges:
                        got[which[part.start_index + number]] = segment.edges[0].edge_id
                        got[which[part.start_index + number + 1]] = segment.edges[-1].edge_id
        judged = probes.edge >= 0
        return float((got == probes.edge)[judged].mean()), seconds


def travels_of(roads: MatchingRoads, found: Found) -> Iterator[Travel]:
    """What the vehicles drove edge by edge, as rules of the role ``feeds`` tell it."""
    rule, stretches, driving = TravelRule.of(FleetSettings()), Stretches(roads), dict[str, Driving]()
    for one in found.settled:
        for vehicle, time_us, its in zip(one.vehicles, one.time_us.tolist(), stretches.of(one), strict=True):
            known = driving.setdefault(vehicle, Driving())
            for edge, metres, seconds in rule.drive(known, its, roads.graph.length_list):
                yield Travel(str(edge), vehicle, metres, seconds, time_us)


def road_speed_lines(roads: MatchingRoads, setting: Setting) -> Iterator[str]:
    """How far speeds of an edge and minute are off the mean speed of all true fixes there then, by vehicles."""
    probes = setting.probes
    minutes = defaultdict[tuple[int, int], Minute](lambda: Minute(0))
    travels = list(travels_of(roads, match(roads, by_moments(probes))))
    for travel in travels:
        minutes[int(travel.edge), travel.time_us // _MINUTE_US].cars.add(travel)
    true = defaultdict[tuple[int, int], list[float]](list)
    columns = (probes.edge.tolist(), (probes.fixes.time_us // _MINUTE_US).tolist(), setting.speed_kmh.tolist())
    for edge, minute, kmh in zip(*columns, strict=True):
        true[edge, minute].append(kmh)
    off = defaultdict[int, list[float]](list)
    for key, minute_of_edge in minutes.items():
        speed = speed_of(minute_of_edge, 1)
        if speed is not None and key in true:
            off[min(speed.vehicles, 5)].append(speed.kmh - float(np.mean(true[key])))
    told = "; ".join(
        f"{count}{' and more' if count == 5 else ''}: {np.mean(one):+.2f}, {np.abs(one).mean():.2f}, n {len(one):,}"
        for count, one in sorted(off.items())
    )
    yield f"speeds of an edge and minute, {setting.name}: {len(travels):,} travels; mean and mean absolute error by "
    yield f"vehicles, km/h: {told}"
    within, between = variances(travels)
    yield f"variances, km²/h²: of vehicles on an edge in a minute {within:.1f}, of an edge about its mean {between:.1f}"


def variances(travels: Sequence[Travel]) -> tuple[float, float]:
    """How much vehicles differ that drive an edge in the same minute, and minutes of an edge from all of its.

    By analysis of variance of minutes with two vehicles or more, of edges with three such minutes or more.
    """
    sums = defaultdict[tuple[str, int, str], list[float]](lambda: [0.0, 0.0])
    for travel in travels:
        its = sums[travel.edge, travel.time_us // _MINUTE_US, travel.vehicle]
        its[0] += travel.metres
        its[1] += travel.seconds
    speeds = defaultdict[str, dict[int, list[float]]](lambda: defaultdict(list))
    for (edge, minute, _), (metres, seconds) in sums.items():
        speeds[edge][minute].append(metres / seconds * 3.6)
    edges = [[np.array(some) for some in minutes.values() if len(some) > 1] for minutes in speeds.values()]
    groups = [group for edge_groups in edges for group in edge_groups]
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
    within = squares / sum(len(group) - 1 for group in groups)
    apart = weight = 0.0
    for edge_groups in edges:
        if len(edge_groups) > 2:
            sizes, mean = np.array([len(group) for group in edge_groups]), float(np.concatenate(edge_groups).mean())
            apart += sum(len(group) * (float(group.mean()) - mean) ** 2 for group in edge_groups)
            apart -= (len(edge_groups) - 1) * within
            weight += float(sizes.sum() - (sizes**2).sum() / sizes.sum())
    return within, apart / weight


def backwards(probes: Probes) -> Probes:
    """The same drives from their ends to their beginnings: the wrong way wherever no edge leads back."""
    one = probes.fixes
    order = np.argsort(-one.time_us, kind="stable")
    last, first = int(one.time_us.max()), int(one.time_us.min())
    turned = Fixes(one.vehicles, last + first - one.time_us, one.lat, one.lon, one.speed_kmh, (one.heading + 180) % 360)
    return Probes(turned, probes.edge).some(order)


class WrongDrive(NamedTuple):
    """At least four fixes in a row that drive against an edge without another beside it."""

    vehicle: str
    begin_us: int
    end_us: int
    edge: int


def wrong_drives(roads: MatchingRoads, probes: Probes) -> Iterator[WrongDrive]:
    """All of them."""
    fixes = probes.fixes
    east, north = roads.flat.metres(fixes.lat, fixes.lon).T
    found = candidates_of(roads, _RULE, east, north, fixes.heading, fixes.speed_kmh)
    apart = abs((fixes.heading[found.fix] - found.direction + 180) % 360 - 180)
    along, own = np.full((2, len(east)), np.inf)
    np.minimum.at(along, found.fix, np.where(apart <= 75, found.distance_m, np.inf))
    np.minimum.at(own, found.fix, np.where(apart >= 150, found.distance_m, np.inf))
    edges = np.full(len(east), -1)
    nearest = (apart >= 150) & (found.distance_m == own[found.fix])
    edges[found.fix[nearest]] = found.edge[nearest]
    wrong = (probes.edge >= 0) & (along > 30) & (own <= 10) & (fixes.speed_kmh >= 10)
    vehicles = np.array(fixes.vehicles)
    for vehicle in np.unique(vehicles).tolist():
        its = np.flatnonzero(vehicles == vehicle)
        for part in np.split(its, np.flatnonzero(np.diff(wrong[its].astype(int))) + 1):
            if len(part) >= 4 and wrong[part[0]]:
                begin_us, end_us = int(fixes.time_us[part[0]]), int(fixes.time_us[part[-1]])
                yield WrongDrive(vehicle, begin_us, end_us, int(edges[part[1]]))


class Setting(NamedTuple):
    """Probes as some receivers would tell them, and the true speeds."""

    name: str
    probes: Probes
    speed_kmh: np.ndarray


def settings_of(probes: Probes) -> list[Setting]:
    """The four that the aims are for."""
    fixes, first = probes.fixes, dict[str, int]()
    pairs = zip(fixes.vehicles, fixes.time_us.tolist(), strict=True)
    begins = np.array([first.setdefault(vehicle, at) for vehicle, at in pairs])
    sparse = (fixes.time_us - begins) % _SPARSE_US == 0
    noisy = probes.without(speed=True, heading=True, noise_m=_MORE_NOISE_M).some(sparse)
    return [
        Setting("heading and speed", probes, fixes.speed_kmh),
        Setting("heading", probes.without(speed=True), fixes.speed_kmh),
        Setting("places only", probes.without(speed=True, heading=True), fixes.speed_kmh),
        Setting("places, 10 m more noise, 15 s", noisy, fixes.speed_kmh[sparse]),
    ]


def seconds_a_fix(roads: MatchingRoads, runs: Sequence[Fixes]) -> float:
    """CPU seconds that a fix takes."""
    return match(roads, runs).cpu_seconds / sum(len(run.vehicles) for run in runs)


def row_of(roads: MatchingRoads, peer: Fastmm | None, setting: Setting, repeats: int) -> list[str]:
    """The figures of a setting."""
    probes = setting.probes
    moments = by_moments(probes)
    ways = (moments, by_thousands(probes), tenfold(moments))
    best, share, theirs = [1e9] * len(ways), 0.0, 1e9
    for _ in range(repeats):
        best = [min(known, seconds_a_fix(roads, runs)) for known, runs in zip(best, ways, strict=True)]
        if peer is not None:
            share, seconds = peer.match(probes)
            theirs = min(theirs, seconds / len(probes.edge))
    found = match(roads, moments)
    settled, now = right(found, probes)
    off = speed_errors(found, probes, setting.speed_kmh)
    return [
        setting.name,
        f"{settled:.4f}",
        f"{now:.4f}",
        f"{abs(off).mean():.2f}",
        *(f"{1 / seconds:,.0f}" for seconds in best),
        *((f"{share:.4f}", f"{1 / theirs:,.0f}", f"{theirs / best[-1]:.2f}") if peer is not None else ("", "", "")),
    ]


def told_by_rules(wrong: Sequence[Against]) -> list[Against]:
    """Those whom rules tell: not where more different vehicles drive against an edge than one can believe."""
    rules = WrongWays(FleetSettings().wrong_way_vehicles, {})
    nothing = RoadNotification(
        event_id="",
        timestamp="",
        alert_type="wrong_way",
        road_id="",
        road_name="",
        severity="CRITICAL",
        message="",
    )
    return [one for one in wrong if list(rules.take(WrongWay(str(one.edge), one.vehicle, one.time_us, nothing)))]


def wrong_way_lines(roads: MatchingRoads, probes: Probes) -> Iterator[str]:
    """How many of those who drive the wrong way are told, and how many of those who do not.

    With the rules that doubt the graph, each vehicle drives backwards alone among all others: vehicles are matched each
    by itself, so what is told of one is the same whatever the others do.
    """
    turned = backwards(probes)
    truth = list(wrong_drives(roads, turned))
    keys = zip(probes.fixes.vehicles, probes.fixes.time_us.tolist(), strict=True)
    edges = dict(zip(keys, probes.edge.tolist(), strict=True))
    for name, speed, heading in (
        ("heading and speed", False, False),
        ("heading", True, False),
        ("places only", True, True),
    ):
        wrong = match(roads, by_moments(turned.without(speed=speed, heading=heading))).wrong
        right = match(roads, by_moments(probes.without(speed=speed, heading=heading))).wrong
        known = sum(edges[one.vehicle, one.time_us] >= 0 for one in right)
        yield (
            f"wrong way, {name}: {_hits(truth, wrong) / len(truth):.2f} of {len(truth)} drives told; where all drive "
            f"right {known} on edges that the graph has, {len(right) - known} on others"
        )
        hits = [0, 0]
        lacking = {one.edge for one in right}
        sound = [one for one in truth if one.edge not in lacking]
        for vehicle in {one.vehicle for one in truth}:
            among = [one for one in right if one.vehicle != vehicle] + [one for one in wrong if one.vehicle == vehicle]
            told = told_by_rules(sorted(among, key=lambda one: one.time_us))
            for place, drives in enumerate((truth, sound)):
                hits[place] += _hits([one for one in drives if one.vehicle == vehicle], told)
        hour_us = 3_600_000_000
        later = [one._replace(vehicle=f"{one.vehicle} later", time_us=one.time_us + hour_us) for one in right]
        first, both = (len(told_by_rules(some)) for some in (right, right + later))
        yield (
            f"  with the rules, each alone among all others: {hits[0] / len(truth):.2f}; where all drive right "
            f"{first} in the first hour, {both - first} in the second. On edges of which the graph lacks nothing "
            f"{_hits(sound, wrong) / len(sound):.2f} of {len(sound)} without the rules, {hits[1] / len(sound):.2f} with"
        )


def _hits(truth: Sequence[WrongDrive], wrong: Sequence[Against]) -> int:
    """How many of the wrong drives were told."""
    told: dict[str, list[int]] = {}
    for one in wrong:
        told.setdefault(one.vehicle, []).append(one.time_us)
    return sum(
        any(one.begin_us - _BEFORE_US <= at <= one.end_us + _RULE.delay_us for at in told.get(one.vehicle, []))
        for one in truth
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("probes", type=Path, nargs="?")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.probes is None or not arguments.probes.is_file():
        named = "no file of probes is named" if arguments.probes is None else f"there is no file {arguments.probes}"
        sys.exit(f"{named}; this needs one: make bench-matching ARGS=path/to/gps_probes.parquet")
    graph = city_graph(RoadSettings())
    table = pq.read_table(arguments.probes).sort_by([("ts", "ascending"), ("vehicle_id", "ascending")])
    columns = [table[name].to_numpy() for name in ("lat", "lon", "speed_kmh", "heading_deg")]
    positions = graph.position_of_edge
    probes = Probes(
        Fixes(table["vehicle_id"].to_pylist(), table["ts"].to_numpy() * 1000, *columns),
        np.array([positions.get(edge, -1) for edge in table["edge_true"].to_pylist()]),
    )
    began = time.process_time()
    roads = MatchingRoads.build(graph, _RULE.reach_m)
    ready = time.process_time() - began
    console = Console(width=150)
    console.print(f"{len(probes.edge):,} fixes, {(probes.edge >= 0).sum():,} judged; roads ready in {ready:.2f} CPU s")
    shown = Table(
        "",
        "right",
        "at once",
        "speed km/h off",
        "a CPU s",
        "thousands",
        "tenfold",
        "fastmm right",
        "a CPU s",
        "ours/theirs",
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            peer: Fastmm | None = Fastmm(roads, Path(folder))
        except ImportError:
            peer = None
            console.print("fastmm is not installed: make setup-dev")
        for setting in settings_of(probes):
            shown.add_row(*row_of(roads, peer, setting, arguments.repeats))
    console.print(shown)
    for setting in settings_of(probes)[:3]:
        for line in road_speed_lines(roads, setting):
            console.print(line)
    for line in wrong_way_lines(roads, probes):
        console.print(line)


if __name__ == "__main__":
    main()
