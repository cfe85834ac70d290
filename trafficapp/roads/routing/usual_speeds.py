"""Usual speeds of edges over the day, as they go from worker to worker (``graph:{city}:profile``).

A line of text with the version, then compressed numbers: hundredths of km/h, 0 where nothing is known, a row for each
part of the local day; where weekends are told apart, as many more for a day of the weekend. Nothing in it is code.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import numpy as np
import numpy.typing as npt

from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.routing.published import PublishedSpeedsError

_MAGIC = b"trafficapp-usual-speeds "
_HUNDREDTHS = 100
_DAY_SECONDS = 86_400
_SATURDAY = 5
#: Nothing larger is unpacked: a row for each minute, 100,000 edges.
_MOST_BYTES = 288_000_000


class _Document(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    graph_version: str
    zone: str
    edge_ids: list[str]
    rows: int
    weekends: bool
    hundredths: bytes


@dataclass(frozen=True, eq=False)
class UsualSpeeds:
    """Usual speeds of edges.

    Attributes:
        version: of when they were told.
        zone: the city's time zone.
        speeds_kmh: shape (parts of a local day, edges), NaN where nothing is known; with ``weekends`` the parts of a
            workday, then as many of a Saturday or Sunday.
        weekends: whether weekends are told apart.
    """

    version: str
    zone: str
    speeds_kmh: npt.NDArray[np.floating[Any]]
    weekends: bool = False

    @property
    def parts(self) -> int:
        """How many parts a day has."""
        return len(self.speeds_kmh) // (2 if self.weekends else 1)

    def part_at(self, moment: datetime) -> int:
        """Which row of the speeds holds at a moment: by the local time of day, and by the local day of the week."""
        local = moment.astimezone(ZoneInfo(self.zone))
        seconds = local.hour * 3600 + local.minute * 60 + local.second
        part = seconds * self.parts // _DAY_SECONDS
        return part + self.parts if self.weekends and local.weekday() >= _SATURDAY else part


def encode_usual(graph: RoadGraph, usual: UsualSpeeds) -> bytes:
    """Usual speeds as bytes; edges of which nothing is known are left out."""
    known = np.flatnonzero(~np.isnan(usual.speeds_kmh).all(axis=0))
    hundredths = np.nan_to_num(usual.speeds_kmh[:, known] * _HUNDREDTHS).round().clip(0, 65_535).astype("<u2")
    document = _Document(
        graph.version,
        usual.zone,
        graph.edge_ids[known].tolist(),
        len(usual.speeds_kmh),
        usual.weekends,
        hundredths.tobytes(),
    )
    return _MAGIC + usual.version.encode() + b"\n" + zlib.compress(msgspec.msgpack.encode(document), 6)


def decode_usual(graph: RoadGraph, content: bytes) -> UsualSpeeds:
    """Usual speeds from bytes.

    Raises:
        PublishedSpeedsError: damaged, of another graph, or for unknown edges.
    """
    head, _, packed = content.partition(b"\n")
    try:
        if not head.startswith(_MAGIC):
            raise ValueError("another format")
        version = head.removeprefix(_MAGIC).decode("ascii")
        unpacking = zlib.decompressobj()
        plain = unpacking.decompress(packed, _MOST_BYTES)
        if not unpacking.eof:
            raise ValueError("too short, or too large")
        found = msgspec.msgpack.decode(plain, type=_Document)
        ZoneInfo(found.zone)
        hundredths = np.frombuffer(found.hundredths, "<u2").reshape(found.rows, len(found.edge_ids))
    except (ValueError, zlib.error, msgspec.DecodeError, ZoneInfoNotFoundError, OSError) as error:
        raise PublishedSpeedsError(f"no usual speeds: {error}") from None
    if found.graph_version != graph.version:
        raise PublishedSpeedsError(
            f"usual speeds {version} are for version {found.graph_version} of the graph, not {graph.version}"
        )
    try:
        edges = [graph.position_of_edge[name] for name in found.edge_ids]
    except KeyError as error:
        raise PublishedSpeedsError(f"usual speeds {version}: edge {error} is unknown") from None
    if found.rows < 1 or (found.weekends and found.rows % 2):
        raise PublishedSpeedsError(f"usual speeds {version} have {found.rows} rows")
    speeds = np.full((found.rows, graph.edge_count), np.nan, np.float32)
    speeds[:, edges] = np.where(hundredths > 0, hundredths / _HUNDREDTHS, np.nan)
    return UsualSpeeds(version, found.zone, speeds, found.weekends)
