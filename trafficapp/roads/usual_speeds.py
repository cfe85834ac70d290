"""Usual speeds of edges over the day, as they go from worker to worker (``graph:{city}:profile``).

A line of text with the version, then compressed numbers: hundredths of km/h, 0 where nothing is known, a row for each
part of the local day. Nothing in it is code.
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

from trafficapp.roads.graph import RoadGraph
from trafficapp.roads.published import PublishedSpeedsError

_MAGIC = b"trafficapp-usual-speeds "
_HUNDREDTHS = 100
_DAY_SECONDS = 86_400
#: Nothing larger is unpacked: a row for each minute, 100,000 edges.
_MOST_BYTES = 288_000_000


class _Document(msgspec.Struct, forbid_unknown_fields=True, array_like=True):
    graph_version: str
    zone: str
    edge_ids: list[str]
    rows: int
    hundredths: bytes


@dataclass(frozen=True, eq=False)
class UsualSpeeds:
    """Usual speeds of edges.

    Attributes:
        version: of when they were told.
        zone: the city's time zone.
        speeds_kmh: shape (parts of a local day, edges), NaN where nothing is known.
    """

    version: str
    zone: str
    speeds_kmh: npt.NDArray[np.floating[Any]]

    @property
    def part_seconds(self) -> float:
        """Length of a part of the day."""
        return _DAY_SECONDS / len(self.speeds_kmh)

    def part_at(self, moment: datetime) -> int:
        """Which part of the day a moment is in."""
        local = moment.astimezone(ZoneInfo(self.zone))
        seconds = local.hour * 3600 + local.minute * 60 + local.second
        return int(seconds / self.part_seconds) % len(self.speeds_kmh)


def encode_usual(graph: RoadGraph, usual: UsualSpeeds) -> bytes:
    """Usual speeds as bytes; edges of which nothing is known are left out."""
    known = np.flatnonzero(~np.isnan(usual.speeds_kmh).all(axis=0))
    hundredths = np.nan_to_num(usual.speeds_kmh[:, known] * _HUNDREDTHS).round().clip(0, 65_535).astype("<u2")
    document = _Document(
        graph.version, usual.zone, graph.edge_ids[known].tolist(), len(usual.speeds_kmh), hundredths.tobytes()
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
    if found.rows < 1:
        raise PublishedSpeedsError(f"usual speeds {version} have no row")
    speeds = np.full((found.rows, graph.edge_count), np.nan, np.float32)
    speeds[:, edges] = np.where(hundredths > 0, hundredths / _HUNDREDTHS, np.nan)
    return UsualSpeeds(version, found.zone, speeds)
