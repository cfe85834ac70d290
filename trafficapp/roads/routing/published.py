"""Speeds of edges as they go from worker to worker (``graph:{city}:current``): JSON, by the edges' names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from models.roads.predictions import PredictionSource
from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.graph.versions import is_version


class PublishedSpeedsError(ValueError):
    """Bytes that are no published speeds, or not for this graph; the message says why."""


_Moment = Annotated[datetime, Meta(tz=True)]


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    # version and publisher are read from the first bytes
    version: str
    publisher: str
    made_at: _Moment
    observed_at: _Moment | None
    sources: dict[PredictionSource, Annotated[int, Meta(ge=0)]]
    graph_version: str
    horizons_seconds: list[float]
    speeds_kmh: dict[str, list[float | None]]
    free_flow_kmh: dict[str, Annotated[float, Meta(gt=0)]]
    # left out where nothing is closed: workers of an earlier version know no such field
    closed_at: dict[str, _Moment] | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, eq=False)
class PublishedSpeeds:
    """Speeds of edges at one moment, as ``travel_times`` takes them.

    Attributes:
        version: the name of this state of the roads; of two of one publisher the later sorts behind.
        publisher: who published them: another one for each process.
        made_at: when they were measured and predicted, aware.
        observed_at: when the newest speed was measured that any road has; None when none ever was.
        sources: how many roads of the graph have their speeds from whom.
        horizons_seconds: for when the speeds are, from that moment on.
        speeds_kmh: shape (horizons, edges), NaN where not told.
        free_flow_kmh: of each edge, as who measures its speed tells it; NaN where nobody does.
        closed_at: edges on which nobody may drive, and when that was told last, aware; their speeds are 0.
    """

    version: str
    publisher: str
    made_at: datetime
    observed_at: datetime | None
    sources: Mapping[PredictionSource, int]
    horizons_seconds: tuple[float, ...]
    speeds_kmh: Floats
    free_flow_kmh: Floats
    closed_at: Mapping[int, datetime] = field(default_factory=dict)

    def is_older_than(self, other: PublishedSpeeds) -> bool:
        """Whether the other ones are later ones of the same publisher, or the same. Between two, none is older."""
        return self.publisher == other.publisher and self.version <= other.version


def encode_speeds(graph: RoadGraph, published: PublishedSpeeds) -> bytes:
    """Speeds as JSON; edges of which nothing is told are left out, speeds have two decimals."""
    told = np.flatnonzero(~np.isnan(published.speeds_kmh).all(axis=0))
    columns = published.speeds_kmh[:, told].T.round(2).tolist()
    free = np.flatnonzero(~np.isnan(published.free_flow_kmh))
    return msgspec.json.encode(
        _Document(
            version=published.version,
            publisher=published.publisher,
            made_at=published.made_at,
            observed_at=published.observed_at,
            sources=dict(published.sources),
            graph_version=graph.version,
            horizons_seconds=list(published.horizons_seconds),
            speeds_kmh={
                name: [None if speed != speed else speed for speed in speeds]
                for name, speeds in zip(graph.edge_ids[told].tolist(), columns, strict=True)
            },
            free_flow_kmh=dict(
                zip(graph.edge_ids[free].tolist(), published.free_flow_kmh[free].round(2).tolist(), strict=True)
            ),
            closed_at={str(graph.edge_ids[edge]): told_at for edge, told_at in published.closed_at.items()}
            or msgspec.UNSET,
        )
    )


def decode_speeds(graph: RoadGraph, content: bytes) -> PublishedSpeeds:
    """Speeds from JSON.

    Raises:
        PublishedSpeedsError: damaged, of another graph, or for unknown edges.
    """
    try:
        found = msgspec.json.decode(content, type=_Document)
    except msgspec.DecodeError as error:
        raise PublishedSpeedsError(f"no published speeds: {error}") from None
    if not is_version(found.version):
        raise PublishedSpeedsError(f"no published speeds: {found.version!r} is no version")
    if found.graph_version != graph.version:
        raise PublishedSpeedsError(
            f"speeds {found.version} are for version {found.graph_version} of the graph, not {graph.version}"
        )
    horizons = found.horizons_seconds
    speeds = np.full((len(horizons), graph.edge_count), np.nan)
    for name, told in found.speeds_kmh.items():
        edge = graph.position_of_edge.get(name)
        if edge is None or len(told) != len(horizons):
            raise PublishedSpeedsError(f"speeds {found.version}: edge {name!r} is unknown or lacks a horizon")
        speeds[:, edge] = [np.nan if speed is None else speed for speed in told]
    free_flow = np.full(graph.edge_count, np.nan)
    for name, free_flow_kmh in found.free_flow_kmh.items():
        if (edge := graph.position_of_edge.get(name)) is None:
            raise PublishedSpeedsError(f"speeds {found.version}: edge {name!r} is unknown")
        free_flow[edge] = free_flow_kmh
    closed_at = {}
    for name, told_at in ({} if found.closed_at is msgspec.UNSET else found.closed_at).items():
        if (edge := graph.position_of_edge.get(name)) is None:
            raise PublishedSpeedsError(f"speeds {found.version}: edge {name!r} is unknown")
        closed_at[edge] = told_at
    return PublishedSpeeds(
        version=found.version,
        publisher=found.publisher,
        made_at=found.made_at,
        observed_at=found.observed_at,
        sources=found.sources,
        horizons_seconds=tuple(horizons),
        speeds_kmh=speeds,
        free_flow_kmh=free_flow,
        closed_at=closed_at,
    )
