"""Speeds go from worker to worker unchanged, and never onto another graph."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tests.roads.towns import town
from trafficapp.roads.graph.road_graph import Floats
from trafficapp.roads.routing.credibility import caveat, why_unusable
from trafficapp.roads.routing.published import PublishedSpeeds, PublishedSpeedsError, decode_speeds, encode_speeds
from trafficapp.roads.routing.usual_speeds import UsualSpeeds, decode_usual, encode_usual

GRAPH = town(2, 3)
EIGHT = datetime(2026, 1, 14, 8, tzinfo=UTC)


def encoded() -> bytes:
    speeds = np.full((2, GRAPH.edge_count), np.nan)
    speeds[:, 3] = [12.344, np.nan]
    return encode_speeds(GRAPH, published(speeds))


def published(speeds: Floats, **changes: Any) -> PublishedSpeeds:
    told = PublishedSpeeds(
        version="v20260114080000",
        publisher="one",
        made_at=EIGHT,
        observed_at=EIGHT - timedelta(minutes=2),
        sources={"model": 3},
        horizons_seconds=(0.0, 600.0),
        speeds_kmh=speeds,
        free_flow_kmh=np.array([16.256 if edge == 3 else np.nan for edge in range(GRAPH.edge_count)]),
    )
    return replace(told, **changes)


def test_there_and_back() -> None:
    found = decode_speeds(GRAPH, encoded())
    assert (found.version, found.horizons_seconds) == ("v20260114080000", (0.0, 600.0))
    assert (found.publisher, found.made_at, found.observed_at) == ("one", EIGHT, EIGHT - timedelta(minutes=2))
    assert found.sources == {"model": 3}
    assert found.speeds_kmh[0, 3] == 12.34
    assert found.free_flow_kmh[3] == 16.26
    assert np.isnan(np.delete(found.free_flow_kmh, 3)).all()
    assert np.isnan(found.speeds_kmh).sum() == found.speeds_kmh.size - 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graph_version": "0" * 12}, "are for version 000000000000 of the graph"),
        ({"speeds_kmh": {"e99": [1.0, 2.0]}}, "edge 'e99' is unknown"),
        ({"speeds_kmh": {"e3": [1.0]}}, "lacks a horizon"),
        ({"free_flow_kmh": {"e99": 16.0}}, "edge 'e99' is unknown"),
        ({"free_flow_kmh": {"e3": 0}}, "no published speeds"),
        ({"speeds_kmh": {"e3": ["fast", 1.0]}}, "no published speeds"),
        ({"more": 1}, "no published speeds"),
        ({"version": "newest"}, "'newest' is no version"),
        ({"made_at": "2026-01-14T08:00:00"}, "no published speeds"),
        ({"sources": {"somebody": 1}}, "no published speeds"),
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


def test_speeds_are_replaced_by_later_ones_of_their_publisher_and_by_those_of_any_other() -> None:
    held = decode_speeds(GRAPH, encoded())
    assert replace(held).is_older_than(held)
    assert replace(held, version="v20260114075959").is_older_than(held)
    assert not replace(held, version="v20260114080001").is_older_than(held)
    # whatever its clock says
    assert not replace(held, publisher="two", version="v20250114075959").is_older_than(held)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, None),
        ({"observed_at": EIGHT - timedelta(minutes=31)}, "older than 30 minutes"),
        ({"observed_at": None, "sources": {}}, "no speed has been measured yet"),
        ({"sources": {"time_of_day": 3}}, "no road was measured lately"),
        ({"sources": {"time_of_day": 3, "last_value": 1}}, None),
        ({"speeds_kmh": np.full((2, GRAPH.edge_count), np.nan)}, "no speed of any road of the graph is known"),
    ],
)
def test_speeds_are_used_while_something_was_measured_however_new_they_are(
    changes: dict[str, Any], why: str | None
) -> None:
    one = published(np.full((2, GRAPH.edge_count), 30.0), **changes)
    found = why_unusable(one, EIGHT, 1800)
    assert (found is None) if why is None else (found is not None and why in found)


def test_what_is_not_measured_and_predicted_by_a_model_is_told() -> None:
    one = published(np.full((2, GRAPH.edge_count), 30.0))
    assert caveat(one) is None
    assert "2 of 5 roads were not measured" in str(caveat(replace(one, sources={"model": 3, "time_of_day": 2})))
    assert "no model predicts" in str(caveat(replace(one, sources={"last_value": 2})))


def test_usual_speeds_of_weekends_hold_on_weekends_of_the_city() -> None:
    rows = np.repeat(np.arange(1.0, 49), GRAPH.edge_count).reshape(48, -1)
    apart = decode_usual(GRAPH, encode_usual(GRAPH, UsualSpeeds("v20260114080000", "Europe/Rome", rows, True)))
    alike = decode_usual(GRAPH, encode_usual(GRAPH, UsualSpeeds("v20260114080000", "Europe/Rome", rows[:24])))
    friday, saturday, monday = (datetime(2026, 1, day, 22, 59, tzinfo=UTC) for day in (16, 17, 19))
    hour = timedelta(hours=1)
    for moment, part in ((friday, 23), (friday + hour, 24), (saturday, 47), (saturday + 24 * hour, 47), (monday, 23)):
        assert apart.part_at(moment) == part
        assert apart.speeds_kmh[part, 0] == part + 1
        assert alike.part_at(moment) == part % 24
