"""Speeds go from worker to worker unchanged, and never onto another graph."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.roads.towns import town
from trafficapp.roads.published import PublishedSpeeds, PublishedSpeedsError, decode_speeds, encode_speeds

GRAPH = town(2, 3)


def encoded() -> bytes:
    speeds = np.full((2, GRAPH.edge_count), np.nan)
    speeds[:, 3] = [12.344, np.nan]
    return encode_speeds(GRAPH, PublishedSpeeds("v20260114080000", (0.0, 600.0), speeds))


def test_there_and_back() -> None:
    found = decode_speeds(GRAPH, encoded())
    assert (found.version, found.horizons_seconds) == ("v20260114080000", (0.0, 600.0))
    assert found.speeds_kmh[0, 3] == 12.34
    assert np.isnan(found.speeds_kmh).sum() == found.speeds_kmh.size - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph_version": "0" * 12}, "are for version 000000000000 of the graph"),
        ({"speeds_kmh": {"e99": [1.0, 2.0]}}, "edge 'e99' is unknown"),
        ({"speeds_kmh": {"e3": [1.0]}}, "lacks a horizon"),
        ({"speeds_kmh": {"e3": ["fast", 1.0]}}, "no published speeds"),
        ({"more": 1}, "no published speeds"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    content = json.dumps(json.loads(encoded()) | change).encode()
    with pytest.raises(PublishedSpeedsError, match=message):
        decode_speeds(GRAPH, content)


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", encoded()[:-5], b"[]"])
def test_damaged_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(PublishedSpeedsError, match="no published speeds"):
        decode_speeds(GRAPH, content)
