"""Where queues begin, from the paces of roads: how long they stood, how far they reached, what they cost.

After the rule of PeMS (Chen, Skabardonis, Varaiya: Systematic Identification of Freeway Bottlenecks, TRR 1867, 2004): a
road is an active bottleneck in a step when it is slow and no road that it leads to is, and it counts when that holds in
5 of 7 five-minute steps. PeMS asks for a drop of 20 mph to below 40 mph between neighbours on a freeway; in a city that
is a share of free flow, the same from which a road counts as jammed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import numpy as np

from models.roads.measures import Bottleneck, RangeBottlenecks
from models.timestamps import epoch_us, rfc3339
from trafficapp.measures.paces import Floats, MeasuredRoad, StepPaces

STEP_SECONDS = 300
#: Longer ones would read every observation of every road of a month.
MAX_SPAN = timedelta(days=31)
METHOD = "Greenshields: lanes * km * jam density * (1 - v/v0) vehicles lose the share 1 - v/v0 of their time"
#: So many of so many steps must be slow.
LEAST_SLOW, OF_STEPS = 5, 7


def bottlenecks(paces: StepPaces, jam_share: float, jam_vehicles_per_km: float, most: int = 20) -> list[Bottleneck]:
    """The worst bottlenecks, by the vehicle-hours lost in their queues.

    A queue is all slow roads that lead to the bottleneck without a gap, in each step. Its delay is that of the linear
    relation of speed and density (Greenshields, 1935), as congestion events have it: there are
    ``lanes · km · jam density · (1 − v/v0)`` vehicles, each of which loses the share ``1 − v/v0`` of its time.

    Args:
        paces: of all roads, in steps of `STEP_SECONDS`.
        jam_share: share of free flow below which a road is slow.
        jam_vehicles_per_km: vehicles on a kilometre of standing lane.
        most: how many are told.
    """
    roads = paces.roads
    free = np.array([road.free_flow_kmh for road in roads])
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = 1 / paces.hours_per_km / free
        slow = _persistent(shares < jam_share)
    lost = np.clip(1 - np.nan_to_num(shares, nan=1.0), 0.0, 1.0)
    lanes_km = np.array([road.lanes * road.length_m / 1000 for road in roads])
    hours = paces.step_seconds / 3600
    lost_hours = lost * lost * lanes_km * jam_vehicles_per_km * hours
    upstream, downstream = _neighbours(roads)
    heads = slow.copy()
    for road, following in downstream.items():
        if following:
            # where a road ahead is slow as well, this one is not the head of the queue
            heads[:, road] &= ~slow[:, following].any(axis=1)
    found = [
        _bottleneck(paces, road, heads[:, road], slow, lost_hours, upstream)
        for road in np.flatnonzero(heads.any(axis=0)).tolist()
    ]
    found.sort(key=lambda one: (-one.delay_vehicle_hours, one.road_id))
    return found[:most]


def of_range(
    paces: StepPaces, since: datetime, until: datetime, jam_share: float, jam_vehicles_per_km: float, most: int = 20
) -> RangeBottlenecks:
    """The worst `bottlenecks` of ``[since, until)``, and by which rule."""
    return RangeBottlenecks(
        range_start=rfc3339(epoch_us(since)),
        range_end=rfc3339(epoch_us(until)),
        jam_share=jam_share,
        delay_method=METHOD,
        bottlenecks=bottlenecks(paces, jam_share, jam_vehicles_per_km, most),
    )


def _persistent(slow: np.ndarray) -> np.ndarray:
    """What is slow in at least `LEAST_SLOW` of some `OF_STEPS` steps in a row, itself among them."""
    # by the last step of the row: one that begins before the span has only what lies in it
    sums = np.pad(slow.astype(np.int64), ((OF_STEPS, OF_STEPS - 1), (0, 0))).cumsum(axis=0)
    enough = sums[OF_STEPS:] - sums[:-OF_STEPS] >= LEAST_SLOW
    any_row = np.lib.stride_tricks.sliding_window_view(enough, OF_STEPS, axis=0).any(axis=-1)
    persistent: np.ndarray = slow & any_row
    return persistent


def _neighbours(roads: Sequence[MeasuredRoad]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """By road, those that lead to it and those that it leads to; a road back the way it came is neither."""
    begins: dict[int, list[int]] = {}
    for place, road in enumerate(roads):
        if road.begin >= 0:
            begins.setdefault(road.begin, []).append(place)
    upstream: dict[int, list[int]] = {place: [] for place in range(len(roads))}
    downstream: dict[int, list[int]] = {place: [] for place in range(len(roads))}
    for place, road in enumerate(roads):
        for following in begins.get(road.end, ()):
            if following != place and roads[following].end != road.begin:
                downstream[place].append(following)
                upstream[following].append(place)
    return upstream, downstream


def _bottleneck(
    paces: StepPaces, head: int, active: np.ndarray, slow: np.ndarray, lost_hours: Floats,
    upstream: Mapping[int, Sequence[int]],
) -> Bottleneck:  # fmt: skip
    roads, starts = paces.roads, paces.starts
    steps = np.flatnonzero(active).tolist()
    delay, longest_m, extents = 0.0, 0.0, []
    reached: set[int] = set()
    for step in steps:
        queue = _queue(head, slow[step], upstream)
        reached |= queue
        length_m = sum(roads[road].length_m for road in queue)
        extents.append(length_m)
        longest_m = max(longest_m, length_m)
        delay += float(lost_hours[step, sorted(queue)].sum())
    runs = [list(run) for _, run in groupby(enumerate(steps), key=lambda one: one[1] - one[0])]
    road = roads[head]
    middle = road.coordinates[len(road.coordinates) // 2] if road.coordinates else None
    return Bottleneck(
        road_id=road.road_id,
        road_name=road.road_name,
        latitude=None if middle is None else middle[1],
        longitude=None if middle is None else middle[0],
        delay_vehicle_hours=round(delay, 2),
        activations=len(runs),
        active_minutes=round(len(steps) * paces.step_seconds / 60, 1),
        longest_minutes=round(max(map(len, runs)) * paces.step_seconds / 60, 1),
        mean_extent_m=round(sum(extents) / len(extents), 1),
        max_extent_m=round(longest_m, 1),
        first_active=rfc3339(epoch_us(starts[steps[0]])),
        last_active=rfc3339(epoch_us(starts[steps[-1]])),
        roads=[roads[place].road_id for place in sorted(reached)],
    )


def _queue(head: int, slow: np.ndarray, upstream: Mapping[int, Sequence[int]]) -> set[int]:
    """The slow roads that lead to a road without a gap, itself among them."""
    queue, ahead = {head}, [head]
    while ahead:
        for road in upstream[ahead.pop()]:
            if road not in queue and slow[road]:
                queue.add(road)
                ahead.append(road)
    return queue
