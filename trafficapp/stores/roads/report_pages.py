"""What a report says of roads: corridors with their surfaces and reliability, and bottlenecks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from models.roads.measures import RangeBottlenecks, RangeReliability, SpeedSurface
from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.measures import bottlenecks as rule
from trafficapp.measures.reliability import STEP_SECONDS, reliability
from trafficapp.measures.surface import step_seconds_of, surface
from trafficapp.settings import RoadSettings
from trafficapp.settings.roads import JamSettings
from trafficapp.stores.roads import corridor_queries
from trafficapp.stores.roads.pace_queries import measured_roads, network_of, step_paces

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Of which a report has surfaces, unless one is named.
PRINTED_CORRIDORS = 3
PRINTED_BOTTLENECKS = 10


class UnknownCorridor(LookupError):
    """There is no such corridor; the message says which."""


@dataclass(frozen=True)
class ReportPages:
    """What a report says of roads.

    Attributes:
        surfaces, reliability: of corridors, in the same order.
        bottlenecks: the worst; None where no road was measured, or the range is longer than bottlenecks are told of.
    """

    surfaces: list[SpeedSurface]
    reliability: list[RangeReliability]
    bottlenecks: RangeBottlenecks | None


async def report_pages(
    pool: Pool,
    settings: RoadSettings,
    jams: JamSettings,
    since: datetime,
    until: datetime,
    tz: str,
    corridor_id: int | None = None,
) -> ReportPages:
    """Put together what a report on ``[since, until)`` says of roads.

    Args:
        pool: of the history.
        settings: where the road graph is.
        jams: from when on a road is slow.
        since: aware.
        until: aware.
        tz: the clock of the periods of reliability.
        corridor_id: the only corridor; the first ones unless given.

    Raises:
        UnknownCorridor: there is no such corridor.
        OverflowError: the range lies beyond what a calendar holds.
        asyncpg.PostgresError: Postgres cannot be asked.
    """
    network = await network_of(settings)
    if corridor_id is None:
        corridors = await corridor_queries.corridors_page(pool, PRINTED_CORRIDORS)
    else:
        one = await corridor_queries.corridor(pool, corridor_id)
        if one is None:
            raise UnknownCorridor(f"there is no corridor {corridor_id}")
        corridors = [one]
    surfaces, reliabilities = [], []
    for corridor in corridors:
        known = await measured_roads(pool, network, corridor.road_ids)
        roads = [known[name] for name in corridor.road_ids if name in known]
        paces = await step_paces(pool, roads, since, until, step_seconds_of((until - since).total_seconds()))
        surfaces.append(await asyncio.to_thread(surface, paces, corridor.id, corridor.name))
        paces = await step_paces(pool, roads, since, until, STEP_SECONDS)
        figures = await asyncio.to_thread(reliability, paces, time_zone(tz))
        reliabilities.append(
            RangeReliability(
                kind="corridor", id=str(corridor.id), name=corridor.name, range_start=rfc3339(epoch_us(since)),
                range_end=rfc3339(epoch_us(until)), tz=tz, reliability=figures,
            )
        )  # fmt: skip
    found = None
    if until - since <= rule.MAX_SPAN:
        roads = list((await measured_roads(pool, network)).values())
        paces = await step_paces(pool, roads, since, until, rule.STEP_SECONDS)
        if np.isfinite(paces.hours_per_km).any():
            found = await asyncio.to_thread(
                rule.of_range, paces, since, until, jams.jam_share, jams.jam_vehicles_per_km, PRINTED_BOTTLENECKS
            )
    return ReportPages(surfaces, reliabilities, found)
