"""What a message can grow into is bounded where it is checked: the largest passes, and all that follows from it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from models.cameras.detections import MAX_MESSAGE_BYTES
from models.roads.current import MOST_OBSERVATION_BYTES
from tests.roads.feed_messages import T0_US, FeedRecord, at, line_of, message, record, roads
from tests.roads.towns import SOUTH, WEST, chain
from trafficapp.engine.state_rows import is_forgotten
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.roads.pieces import pieces_of
from trafficapp.roads.road_edges import RoadEdges

#: A road of as many edges as a road may have; what is made of it fits when its name has so many characters.
WAY = chain(1000, 233)


def told(feed: PartitionRoads, one: FeedRecord) -> int | str:
    """How many bytes the observation has, or why there is none."""
    outcome = feed.apply([one])
    return outcome.dead_letters[0].reason if outcome.dead_letters else len(outcome.records[0][1])


def of_bytes(count: int) -> bytes:
    """A message of so many."""
    return json.dumps(message(note="")).replace('"note": ""', '"note": "%s"').encode() % (
        b"x" * (count - len(json.dumps(message(note=""))))
    )


def test_a_message_has_a_megabyte_at_most(bologna: RoadGraph) -> None:
    largest = of_bytes(MAX_MESSAGE_BYTES)
    assert len(largest) == MAX_MESSAGE_BYTES
    assert told(roads(bologna), FeedRecord(0, largest)) == 542
    assert told(roads(bologna), FeedRecord(0, largest + b" ")) == "too_large"


def largest_of(feed: PartitionRoads) -> dict[str, Any]:
    """A message whose observation is as large as one may be."""
    base = told(feed, record(road_id="way", road_name="n"))
    assert isinstance(base, int)
    name = "n" * (MOST_OBSERVATION_BYTES - base + 1)
    assert 0 < len(name) <= 256
    return {"road_id": "way", "road_name": name}


def test_an_observation_has_a_quarter_of_a_megabyte_at_most() -> None:
    largest = largest_of(roads(WAY))
    feed = roads(WAY)
    assert told(feed, record(0, **largest)) == MOST_OBSERVATION_BYTES
    rows = feed.changed_rows()
    assert max(len(row) for _, row in rows) < MOST_OBSERVATION_BYTES
    assert told(feed, record(1, **largest | {"event_id": "e-11"}, timestamp=at(1))) == "too_large"
    # nothing of it is in the state
    assert [key for key, _ in feed.changed_rows()] == [b"\0partition-3"]
    assert feed.roads == roads(WAY, dict(rows)).roads


@pytest.mark.parametrize(("edges", "reason"), [(1000, None), (1001, "too_large")])
def test_a_road_has_a_thousand_edges_at_most(edges: int, reason: str | None) -> None:
    graph = chain(edges, 4)
    by_name = roads(graph).apply([record(road_id="way")])
    ends = [[WEST, SOUTH], [float(graph.shape_lon[-1]), SOUTH]]
    by_line = roads(graph).apply([record(road_id="else", coordinates=ends)])
    for outcome in (by_name, by_line):
        if reason is None:
            assert len(outcome.observations[0].edges) == edges
        else:
            assert outcome.rejected == {reason: 1}
            assert "1,000" in outcome.dead_letters[0].detail


def test_a_line_that_is_too_long_is_too_large_however_often_it_comes(bologna: RoadGraph) -> None:
    feed = roads(bologna)
    (lon, lat), *_ = line_of(bologna, "a10")
    for number, (degrees, reason) in enumerate([(0.899, None), (0.9, "too_large"), (0.9, "too_large")]):
        line = [[lon, lat], [lon, lat + degrees]]
        found = told(feed, record(number, road_id="long", coordinates=line, timestamp=at(number)))
        assert (None if isinstance(found, int) else found) == reason


def test_all_roads_together_are_on_so_many_edges_at_most() -> None:
    graph = chain(400, 4)
    feed = roads(graph, max_roads=3)  # three roads may be on a thousand edges
    far = float(graph.shape_lon[-1])
    middle = float(graph.shape_lon[400])

    def on(offset: int, road_id: str, begin: float, end: float, seconds: float = 0) -> FeedRecord:
        line = [[begin, SOUTH], [end, SOUTH]]
        return record(offset, road_id=road_id, coordinates=line, timestamp=at(seconds))

    run = [on(0, "a", WEST, far), on(1, "b", WEST, far), on(2, "c", WEST, far), on(3, "c", WEST, middle)]
    # a road that is known may move, as long as it takes no more
    run += [on(4, "b", middle, far, 1), on(5, "c", WEST, far, 1), on(6, "c", WEST, far, 2), on(7, "b", WEST, far, 2)]
    outcome = feed.apply(run)
    assert [(one.source_offset, len(one.edges)) for one in outcome.observations] == [
        (0, 400), (1, 400), (3, 200), (4, 200), (5, 400), (6, 400),
    ]  # fmt: skip
    assert [(letter.offset, letter.reason) for letter in outcome.dead_letters] == [
        (2, "too_many_roads"), (7, "too_many_roads"),
    ]  # fmt: skip
    # whoever goes on from rows knows as much
    again = roads(graph, dict(feed.all_rows()), max_roads=3)
    assert again.apply([on(8, "b", WEST, far, 3)]).rejected == {"too_many_roads": 1}


def test_rows_that_are_ahead_leave_no_less_room_than_there_was(bologna: RoadGraph) -> None:
    """Two roads come, each when another one is forgotten: whoever has some of the rows refuses none that was taken."""
    hour_us = 3_600_000_000

    def told_at(offset: int, road_id: str, hour: int) -> FeedRecord:
        return record(offset, T0_US + hour * hour_us, road_id=road_id, timestamp=at(hour * 3600))

    told = [("a10", 0), ("a104", 2), ("a103", 20), ("a1", 25), ("a103", 25), ("a11", 27), ("a12", 27)]
    run = [told_at(offset, road_id, hour) for offset, (road_id, hour) in enumerate(told)]
    feed = roads(bologna, max_roads=3)
    feed.apply(run[:3])
    before = dict(feed.changed_rows())
    right = feed.apply(run[3:])
    assert [one.road_id for one in right.observations] == ["a1", "a103", "a11"]
    assert right.rejected == {"too_many_roads": 1}
    rows = [row for row in feed.changed_rows() if not is_forgotten(row[1])][:-1]
    for written in range(2 ** len(rows)):
        some = before | dict(row for place, row in enumerate(rows) if written >> place & 1)
        other = roads(bologna, some, max_roads=3)
        outcome = other.apply(run)
        assert outcome.dead_letters == right.dead_letters
        assert other.roads == feed.roads


def test_what_was_matched_is_remembered_within_bounds(bologna: RoadGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trafficapp.roads.road_edges._REMEMBERED", 30)
    edges = RoadEdges(bologna, 25)
    lines = [line_of(bologna, edge) for edge in bologna.edge_ids.tolist()[:100]]
    first = [edges.find("x", [(lon, lat) for lon, lat in line]) for line in lines]
    assert sum(1 + len(found) for found in edges._matched.values()) == edges._remembered <= 30
    assert [edges.find("x", [(lon, lat) for lon, lat in line]) for line in lines] == first


@pytest.mark.parametrize(
    ("sizes", "pieces"),
    [
        ([], []), ([1], [[1]]), ([5, 5, 5, 5], [[5, 5], [5, 5]]), ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([50, 1, 1], [[50], [1, 1]]), ([9, 50, 1], [[9], [50], [1]]), ([10, 0, 1], [[10, 0], [1]]),
    ],
)  # fmt: skip
def test_runs_are_cut_into_pieces(sizes: list[int], pieces: list[list[int]]) -> None:
    run = [FeedRecord(offset, b"x" * size, None) for offset, size in enumerate(sizes)]
    found = list(pieces_of(run, 3, 10))
    assert [[len(one.value or b"") for one in piece] for piece in found] == pieces
    assert [one for piece in found for one in piece] == run


def test_the_partition_row_keeps_what_others_put_there(bologna: RoadGraph) -> None:
    feed = roads(bologna)
    feed.apply([record()])
    key, row = feed.changed_rows()[-1]
    fields = msgspec.msgpack.decode(row[8:])
    fields[3:5] = ["a-topic", 6]
    again = roads(bologna, {key: row[:8] + msgspec.msgpack.encode(fields)})
    again.apply([record(1, timestamp=at(1))])
    assert msgspec.msgpack.decode(dict(again.changed_rows())[key][8:])[3:5] == ["a-topic", 6]
    # rows of before are shorter
    older = roads(bologna, {key: row[:8] + msgspec.msgpack.encode(fields[:3])})
    assert older.applied == 0
