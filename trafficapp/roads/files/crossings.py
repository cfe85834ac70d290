"""Lines without named nodes meet where they share a point, also one in their middle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from trafficapp.roads.files.edge_rows import Way
from trafficapp.roads.files.graph_rows import Line, place_name
from trafficapp.roads.graph.earth import metres_along


def cut_at_crossings(ways: Sequence[Way]) -> list[Way]:
    """Cut lines where they meet: at a point that another one has, too, or that comes twice in a line.

    A line that ends on another one's point meets it whatever their layers; lines that go on are cut when they are on
    the same layer, so a bridge does not meet the road below it. Lines that cross without a common point do not meet.
    Pieces are called ``name[1]``, ``name[2]`` and belong to the road of the whole.
    """
    places: list[list[str]] = [[] if way.edge.nodes_told else [place_name(p) for p in way.edge.line] for way in ways]
    ends: set[str] = set()
    inside: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for way, names in zip(ways, places, strict=True):
        ends.update(names[:1], names[-1:])
        # points that come twice in a row are one
        for before, name in pairwise(names[:-1]):
            if name != before:
                inside[name][way.edge.layer] += 1
    pieces = []
    for way, names in zip(ways, places, strict=True):
        layer = way.edge.layer
        cuts = [
            number
            for number in range(1, len(names) - 1)
            if names[number] != names[number - 1] and (names[number] in ends or inside[names[number]][layer] > 1)
        ]
        pieces += _cut(way, names, cuts) if cuts else [way]
    return pieces


def _cut(way: Way, names: list[str], cuts: list[int]) -> list[Way]:
    whole = way.edge
    spans = [
        (begin, end)
        for begin, end in pairwise([0, *cuts, len(names) - 1])
        if names[begin] != names[end] or len(set(names[begin : end + 1])) > 1
    ]
    drawn = [_length_m(whole.line[begin : end + 1]) for begin, end in spans]
    total = sum(drawn)
    pieces = []
    for number, ((begin, end), length) in enumerate(zip(spans, drawn, strict=True), 1):
        share = length / total if total else 1 / len(spans)
        piece = replace(
            whole,
            id=None if whole.id is None else f"{whole.id}[{number}]",
            begin=names[begin],
            end=names[end],
            piece_of=whole.id,
            length_m=None if whole.length_m is None else whole.length_m * share,
            line=whole.line[begin : end + 1],
        )
        pieces.append(Way(piece, way.directions))
    return pieces


def _length_m(line: Line) -> float:
    lat, lon = np.array(line).T
    return float(metres_along(lat[:-1], lon[:-1], lat[1:], lon[1:]).sum())
