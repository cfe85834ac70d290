"""Fixes come onto the edge they were on, by what came up to ten seconds later, however they come."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.matching.conftest import RULE
from tests.matching.drives import NOON_US, SECOND, Drive, drive, part, rows, together, way_from
from trafficapp.matching.fixes import Fixes, MatchedFixes
from trafficapp.matching.matcher import Matcher
from trafficapp.matching.roads import MatchingRoads
from trafficapp.matching.traces import Traces

LATER_US = NOON_US + 86_400 * SECOND


def all_of(matcher: Matcher, fixes: Fixes, cuts: list[int] | None = None) -> list[MatchedFixes]:
    """Give fixes in runs that end at some places, and settle all at last."""
    traces = Traces(matcher.graph_version)
    ends = [0, *(cuts or []), len(fixes.vehicles)]
    told = [matcher.advance(traces, part(fixes, slice(*span)), NOON_US).settled for span in pairwise(ends)]
    return [*told, matcher.settle(traces, LATER_US)]


def right(told: list[MatchedFixes], true: Drive) -> float:
    """Share of the fixes on edges that were put onto them."""
    fixes = true.fixes
    edges = {row.key: row.edge for row in rows(told)}
    keys = zip(fixes.vehicles, fixes.time_us.tolist(), strict=True)
    return float(
        np.mean([edges.get(key) == edge for key, edge in zip(keys, true.edge.tolist(), strict=True) if edge >= 0])
    )


def without(true: Drive, *names: str) -> Drive:
    """The same with vehicles that do not tell all."""
    fixes, nothing = true.fixes, np.full(len(true.edge), np.nan)
    speed, heading = (nothing if name in names else getattr(fixes, name) for name in ("speed_kmh", "heading"))
    return Drive(Fixes(fixes.vehicles, fixes.time_us, fixes.lat, fixes.lon, speed, heading), true.edge)


@pytest.mark.parametrize(("silent", "least"), [((), 0.99), (("speed_kmh",), 0.99), (("speed_kmh", "heading"), 0.98)])
def test_fixes_come_onto_their_edges(matcher: Matcher, traffic: Drive, silent: tuple[str, ...], least: float) -> None:
    true = without(traffic, *silent)
    assert right(all_of(matcher, true.fixes), true) >= least


def test_speeds_are_told_or_follow_from_the_way(matcher: Matcher, traffic: Drive) -> None:
    keys = zip(traffic.fixes.vehicles, traffic.fixes.time_us.tolist(), strict=True)
    true = dict(zip(keys, traffic.fixes.speed_kmh.tolist(), strict=True))
    assert all(row.speed_kmh == true[row.key] for row in rows(all_of(matcher, traffic.fixes)))
    told = rows(all_of(matcher, without(traffic, "speed_kmh").fixes))
    off = [row.speed_kmh - true[row.key] for row in told if row.speed_kmh is not None]
    assert len(off) > 0.9 * len(true)
    assert abs(np.median(off)) < 1


def test_how_fixes_are_cut_into_runs_changes_nothing(matcher: Matcher, traffic: Drive) -> None:
    whole = rows(all_of(matcher, traffic.fixes))
    rng = np.random.default_rng(1)
    cuts = np.sort(rng.integers(len(traffic.edge), size=60)).tolist()
    assert sorted(rows(all_of(matcher, traffic.fixes, cuts))) == sorted(whole)
    for vehicle in ("car-0", "car-7"):
        times = [row.time_us for row in whole if row.vehicle == vehicle]
        assert times == sorted(set(times))


def test_nothing_that_comes_after_the_delay_is_used(matcher: Matcher, traffic: Drive) -> None:
    """And a fix is settled with the one that comes when the delay has passed."""
    fixes, middle = traffic.fixes, NOON_US + 40 * SECOND
    keys = list(zip(fixes.vehicles, fixes.time_us.tolist(), strict=True))
    known = rows(all_of(matcher, part(fixes, fixes.time_us <= middle))[:-1])
    heard = {vehicle for vehicle, time in keys if time == middle}
    assert len(heard) > 30
    assert {row.key for row in known} >= {key for key in keys if key[0] in heard and key[1] <= middle - RULE.delay_us}
    assert set(known) <= set(rows(all_of(matcher, fixes)))


def test_a_trace_goes_on_from_its_bytes(matcher: Matcher, traffic: Drive) -> None:
    fixes, half = traffic.fixes, len(traffic.edge) // 2
    first, second = part(fixes, slice(0, half)), part(fixes, slice(half, None))
    traces = Traces(matcher.graph_version)
    matcher.advance(traces, first, NOON_US)
    read = Traces(matcher.graph_version)
    vehicles = sorted({*first.vehicles})
    for vehicle, row in zip(vehicles, traces.encode(vehicles), strict=True):
        assert read.decode(vehicle, row)
    unbroken = [matcher.advance(traces, second, NOON_US).settled, matcher.settle(traces, LATER_US)]
    again = [matcher.advance(read, second, NOON_US).settled, matcher.settle(read, LATER_US)]
    assert sorted(rows(again)) == sorted(rows(unbroken))
    assert len(rows(again)) > half / 2


def test_a_trace_of_another_graph_begins_anew(matcher: Matcher, traffic: Drive) -> None:
    traces, other = Traces(matcher.graph_version), Traces("another")
    matcher.advance(traces, traffic.fixes, NOON_US)
    assert not other.decode("car-0", traces.encode(["car-0"])[0])
    assert "car-0" not in other


def test_silent_vehicles_are_settled_after_the_delay_and_forgotten_when_told(matcher: Matcher, traffic: Drive) -> None:
    traces = Traces(matcher.graph_version)
    fixes = part(traffic.fixes, slice(0, 40))
    advanced = matcher.advance(traces, fixes, NOON_US)
    assert len(advanced.settled) == 0
    assert len(matcher.settle(traces, NOON_US + RULE.delay_us - 1)) == 0
    told = matcher.settle(traces, NOON_US + RULE.delay_us)
    assert sorted(told.vehicles) == sorted(
        vehicle for vehicle, edge in zip(fixes.vehicles, advanced.now.edge, strict=True) if edge >= 0
    )
    assert len(matcher.settle(traces, LATER_US)) == 0
    traces.forget(fixes.vehicles)
    assert len(traces) == 0


def test_an_outlier_is_left_out_and_a_jump_begins_anew(roads: MatchingRoads, matcher: Matcher) -> None:
    rng = np.random.default_rng(5)
    longest = int(roads.length_m.argmax())
    one = drive(roads, way_from(roads, longest, 900, rng), "car", rng)
    far = np.argmax(
        np.hypot(
            *(
                roads.flat.metres(roads.graph.shape_lat, roads.graph.shape_lon)
                - roads.flat.metres(one.fixes.lat[:1], one.fixes.lon[:1])
            ).T
        )
    )
    lat, lon = one.fixes.lat.copy(), one.fixes.lon.copy()
    lat[4], lon[4] = roads.graph.shape_lat[far], roads.graph.shape_lon[far]
    outlier = Drive(
        Fixes(one.fixes.vehicles, one.fixes.time_us, lat, lon, one.fixes.speed_kmh, one.fixes.heading), one.edge
    )
    told = all_of(matcher, outlier.fixes)
    assert int(one.fixes.time_us[4]) not in [row.time_us for row in rows(told)]
    assert right(told, outlier) >= 1 - 2 / len(one.edge)
    # from then on it is there
    lat[4:], lon[4:] = lat[4], lon[4]
    jumped = all_of(
        matcher,
        Fixes(one.fixes.vehicles, one.fixes.time_us, lat, lon, np.full(len(lat), 0.0), np.full(len(lat), np.nan)),
    )
    edges = {row.time_us: row.edge for row in rows(jumped)}
    assert int(one.fixes.time_us[4]) not in edges
    owners = np.repeat(np.arange(roads.graph.edge_count), np.diff(roads.graph.shape_offsets))
    there = owners[(roads.graph.shape_lat == lat[4]) & (roads.graph.shape_lon == lon[4])]
    assert {edges[int(time)] for time in one.fixes.time_us[5:]} <= set(there.tolist())


def test_what_is_on_no_map_is_left_out(matcher: Matcher, traffic: Drive) -> None:
    fixes = part(traffic.fixes, slice(0, 3))
    away = Fixes(
        fixes.vehicles,
        fixes.time_us,
        np.array([0.0, -90.0, 45.6]),
        np.array([0.0, 180.0, 11.3]),
        fixes.speed_kmh,
        fixes.heading,
    )
    traces = Traces(matcher.graph_version)
    advanced = matcher.advance(traces, away, NOON_US)
    assert advanced.now.edge.tolist() == [-1, -1, -1]
    assert len(advanced.settled) == len(matcher.settle(traces, LATER_US)) == 0


def test_a_fix_that_is_late_or_comes_twice_is_left_out(matcher: Matcher, traffic: Drive) -> None:
    one = np.flatnonzero(np.array(traffic.fixes.vehicles) == "car-3")
    twice = part(traffic.fixes, np.concatenate([one[:4], one[2:]]))
    assert rows(all_of(matcher, twice)) == rows(all_of(matcher, part(traffic.fixes, one)))


def test_who_drives_against_a_one_way_edge_is_told_once(roads: MatchingRoads, matcher: Matcher, traffic: Drive) -> None:
    assert matcher.advance(Traces(matcher.graph_version), traffic.fixes, NOON_US).wrong_ways == []
    rng = np.random.default_rng(2)
    edge = roads.graph.position_of_edge["a153"]  # 396 m, nothing leads back beside it
    wrong = drive(roads, [edge], "car", rng, backwards=True)
    for silent in ((), ("heading",), ("speed_kmh", "heading")):
        advanced = matcher.advance(Traces(matcher.graph_version), without(wrong, *silent).fixes, NOON_US)
        assert [found[1] for found in advanced.wrong_ways] == [edge]
    both = together([wrong, drive(roads, [edge], "other", rng)])
    found = matcher.advance(Traces(matcher.graph_version), both.fixes, NOON_US).wrong_ways
    assert [both.fixes.vehicles[fix] for fix, _, _ in found] == ["car"]
