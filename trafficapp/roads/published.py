"""Speeds of edges as they go from worker to worker (``graph:{city}:current``): JSON, by the edges' names."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from trafficapp.roads.graph import Floats, RoadGraph


class PublishedSpeedsError(ValueError):
    """Bytes that are no published speeds, or not for this graph; the message says why."""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    version: str
    graph_version: str
    horizons_seconds: list[float]
    speeds_kmh: dict[str, list[float | None]]


@dataclass(frozen=True, eq=False)
class PublishedSpeeds:
    """Speeds of edges at one moment, as ``travel_times`` takes them.

    Attributes:
        version: the name of this state of the roads.
        horizons_seconds: for when the speeds are, from that moment on.
        speeds_kmh: shape (horizons, edges), NaN where not told.
    """

    version: str
    horizons_seconds: tuple[float, ...]
    speeds_kmh: Floats


def encode_speeds(graph: RoadGraph, published: PublishedSpeeds) -> bytes:
    """Speeds as JSON; edges of which nothing is told are left out, speeds have two decimals."""
    told = np.flatnonzero(~np.isnan(published.speeds_kmh).all(axis=0))
    columns = published.speeds_kmh[:, told].T.round(2).tolist()
    return msgspec.json.encode(
        _Document(
            version=published.version,
            graph_version=graph.version,
            horizons_seconds=list(published.horizons_seconds),
            speeds_kmh={
                name: [None if speed != speed else speed for speed in speeds]
                for name, speeds in zip(graph.edge_ids[told].tolist(), columns, strict=True)
            },
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
    return PublishedSpeeds(found.version, tuple(horizons), speeds)
