"""Every message is completed, or refused for what is wrong with it; a wrong one never becomes a weight."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from models.dead_letters import encode_dead_letter
from models.records import unreadable
from models.roads.current import RoadObservation, decode_road_observation
from tests.roads.feed_messages import T0_US, FeedRecord, at, line_of, message, record, roads
from tests.roads.odd_messages import Odd, odd_messages
from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog, TopicMadeAnew, forgotten_row
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.settings import RoadSettings


@pytest.fixture
def feed(bologna: RoadGraph) -> PartitionRoads:
    return roads(bologna)


def accepted(feed: PartitionRoads, **changes: Any) -> RoadObservation:
    outcome = feed.apply([record(feed.applied + 1, **changes)])
    assert not outcome.dead_letters, outcome.dead_letters[0].detail
    (observation,) = outcome.observations
    return observation


def refused(feed: PartitionRoads, one: FeedRecord) -> str:
    outcome = feed.apply([one])
    assert not outcome.observations
    (letter,) = outcome.dead_letters
    assert outcome.rejected == {letter.reason: 1}
    assert (letter.topic, letter.partition, letter.offset) == ("traffic-raw", 3, one.offset)
    assert (letter.key, letter.value) == (one.key, one.value)
    return letter.reason


def test_a_message_is_completed(feed: PartitionRoads, bologna: RoadGraph) -> None:
    assert accepted(feed) == RoadObservation(
        event_id="e-1",
        timestamp="2026-01-14T07:00:00Z",
        road_id="a10",
        road_name="Via Roma",
        current_speed=20.0,
        free_flow_speed=50.0,
        jam_factor=4.5,
        congestion_level="medium",
        speed_ratio=0.4,
        rush_hour=True,
        coordinates=[(lon, lat) for lon, lat in line_of(bologna, "a10")],
        edges=[("a10", 1.0)],
        graph_version=bologna.version,
        source_partition=3,
        source_offset=0,
        record_timestamp="2026-01-14T07:00:00Z",
    )


@pytest.mark.parametrize(
    ("jam", "level"), [(0, "low"), (3.999, "low"), (4, "medium"), (6.999, "medium"), (7, "high"), (10, "high")]
)
def test_the_level_follows_from_the_jam_factor(feed: PartitionRoads, jam: float, level: str) -> None:
    assert accepted(feed, jam_factor=jam).congestion_level == level


@pytest.mark.parametrize(
    ("utc", "rush"),
    [
        ("2026-01-14T05:59:59Z", False), ("2026-01-14T06:00:00Z", True), ("2026-01-14T07:59:59Z", True),
        ("2026-01-14T08:00:00Z", False), ("2026-01-14T16:00:00Z", True), ("2026-01-14T18:00:00Z", False),
        ("2026-07-14T05:00:00Z", True), ("2026-07-14T07:00:00Z", False),  # in summer the clock is two hours ahead
    ],
)  # fmt: skip
def test_the_rush_is_by_the_citys_clock(bologna: RoadGraph, utc: str, rush: bool) -> None:
    feed = roads(bologna, late_seconds=1e9, future_guard_seconds=1e9)
    assert accepted(feed, timestamp=utc).rush_hour is rush


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-01-14T08:00:00+01:00", "2026-01-14T07:00:00", " 2026-01-14T07:00:00Z ",
        1768374000, 1768374000000, 1.768374e9,
    ],
)  # fmt: skip
def test_times_may_be_spelled_in_many_ways(feed: PartitionRoads, spelling: object) -> None:
    assert accepted(feed, timestamp=spelling).timestamp == "2026-01-14T07:00:00Z"


def test_standing_traffic_and_numbers_as_ids_are_no_faults(feed: PartitionRoads, bologna: RoadGraph) -> None:
    line = [[lon, lat, 54.0] for lon, lat in line_of(bologna, "a104")]
    one = accepted(feed, road_id=17, event_id=9, current_speed=0, road_name="", coordinates=line)
    assert (one.road_id, one.event_id, one.speed_ratio, one.edges) == ("17", "9", 0.0, [("a104", 1.0)])
    assert one.road_name == "a104"
    assert one.coordinates == [(lon, lat) for lon, lat, _ in line]


REFUSED: list[tuple[str, bytes | dict[str, Any]]] = [
    ("empty", b""),
    ("not_json", b"{"),
    ("not_json", b"\xff\xfe"),
    ("not_json", b"[" * 100_000),
    ("invalid_field", b"[]"),
    ("invalid_field", b'"text"'),
    *(("missing_field", {name: ...}) for name in message() if name != "congestion_level"),
    *(("invalid_field", {name: None}) for name in message() if name != "congestion_level"),
    ("invalid_field", {"current_speed": "20"}),
    ("invalid_field", {"current_speed": True}),
    ("invalid_field", {"road_id": ""}),
    ("invalid_field", {"road_id": "x" * 257}),
    ("invalid_field", {"road_id": ["a10"]}),
    ("invalid_field", {"jam_factor": -0.1}),
    ("invalid_field", {"jam_factor": 10.1}),
    ("invalid_field", {"timestamp": {}}),
    ("invalid_field", {"coordinates": "POINT(1 2)"}),
    ("invalid_field", {"coordinates": [11.3, 44.5]}),
    ("invalid_field", {"coordinates": [[11.3]]}),
    ("invalid_field", {"coordinates": [[11.3, "44.5"]]}),
    ("invalid_field", {"coordinates": [[11.3, 44.5, 1.0, 2.0]]}),
    ("invalid_field", {"coordinates": [[11.3, 44.5]] * 1001}),
    ("invalid_field", {"coordinates": [[11.32, 44.5], [500.0, 44.5]]}),
    ("impossible_speed", {"current_speed": -1}),
    ("impossible_speed", {"current_speed": 250.1}),
    ("impossible_speed", {"free_flow_speed": 0}),
    ("impossible_speed", {"free_flow_speed": 1e-320}),
    ("impossible_speed", {"free_flow_speed": 0.99}),
    ("impossible_speed", {"free_flow_speed": -30}),
    ("impossible_speed", {"free_flow_speed": 1000}),
    ("invalid_timestamp", {"timestamp": "yesterday"}),
    ("invalid_timestamp", {"timestamp": ""}),
    ("invalid_timestamp", {"timestamp": -1}),
    ("invalid_timestamp", {"timestamp": 1e300}),
    ("invalid_timestamp", {"timestamp": "1969-12-31T23:59:59Z"}),
    ("invalid_timestamp", {"timestamp": "9999-01-01T00:00:00Z"}),
    ("swapped_coordinates", {"coordinates": [[44.5, 11.32], [44.5, 11.321]]}),
    # one place of the road is enough to see it, also of a road that is known by its name
    ("swapped_coordinates", {"coordinates": [[11.32, 44.5], [44.5, 11.321]]}),
    ("unknown_road", {"road_id": "nowhere", "coordinates": []}),
    ("unknown_road", {"road_id": "nowhere", "coordinates": [[11.32, 44.5]]}),
    ("unknown_road", {"road_id": "nowhere", "coordinates": [[11.32, 44.5], [11.32, 44.5]]}),
    ("unknown_road", {"coordinates": [[105.83, 21.01], [105.84, 21.01]]}),  # a10 of another city
]  # fmt: skip


@pytest.mark.parametrize(("reason", "wrong"), REFUSED)
def test_what_cannot_be_true_is_refused(feed: PartitionRoads, reason: str, wrong: bytes | dict[str, Any]) -> None:
    one = FeedRecord(0, wrong) if isinstance(wrong, bytes) else record(**wrong)
    assert refused(feed, one) == reason
    assert accepted(feed).road_id == "a10"


ODD = odd_messages("odd", "2026-01-14T07:00:00Z", line_of(city_graph(RoadSettings()), "a10"))


@pytest.mark.parametrize("odd", ODD, ids=[one.name for one in ODD])
def test_what_nobody_means_to_send(feed: PartitionRoads, bologna: RoadGraph, odd: Odd) -> None:
    one = FeedRecord(0, odd.value, odd.key)
    if odd.reason is None:
        outcome = feed.apply([one])
        assert not outcome.dead_letters, outcome.dead_letters[0].detail
        ((key, value),), (observation,) = outcome.records, outcome.observations
        assert (key, decode_road_observation(value)) == (odd.key, observation)
        assert 0 <= observation.current_speed <= 21
    else:
        outcome = feed.apply([one])
        assert [(letter.reason, letter.offset) for letter in outcome.dead_letters] == [(odd.reason, 0)]
        assert encode_dead_letter(outcome.dead_letters[0])
    assert accepted(feed).road_id == "a10"
    assert roads(bologna, dict(feed.all_rows())).roads == feed.roads


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_numbers_that_are_none_are_refused(feed: PartitionRoads, number: str) -> None:
    value = json.dumps(message(current_speed=0)).replace('"current_speed": 0', f'"current_speed": {number}').encode()
    assert refused(feed, FeedRecord(0, value)) in ("not_json", "invalid_field", "impossible_speed")


@pytest.mark.parametrize("key", [None, b"", b"a104", b"\x00partition-3"])
def test_a_message_under_another_key_is_refused(feed: PartitionRoads, key: bytes | None) -> None:
    assert refused(feed, FeedRecord(0, record().value, key)) == "key_mismatch"
    nul = "\x00partition-3"
    assert refused(feed, record(1, road_id=nul)) == "key_mismatch"


@pytest.mark.parametrize(("skew", "reason"), [(60, None), (60.001, "future"), (-3600, None), (-3600.001, "late")])
def test_clocks_are_judged_by_the_record(feed: PartitionRoads, skew: float, reason: str | None) -> None:
    if reason is None:
        assert accepted(feed, timestamp=at(skew)).timestamp == at(skew)
    else:
        assert refused(feed, record(timestamp=at(skew))) == reason


def test_one_clock_that_is_ahead_costs_no_neighbour(feed: PartitionRoads) -> None:
    """What lies a year ahead would make all honest speeds look too old."""
    wrong = record(0, road_id="a104", timestamp="2027-01-14T07:00:00Z")
    outcome = feed.apply([wrong, record(1), record(2, road_id="a104")])
    assert [one.road_id for one in outcome.observations] == ["a10", "a104"]
    assert [letter.reason for letter in outcome.dead_letters] == ["future"]


def test_the_same_again_is_counted_once(feed: PartitionRoads) -> None:
    outcome = feed.apply([record(0), record(1, event_id="e-2", current_speed=30), record(2, timestamp=at(-60))])
    assert [one.source_offset for one in outcome.observations] == [0, 2]
    assert (outcome.repeated, outcome.dead_letters) == (1, [])
    # older than the newest of its road: history takes it
    assert outcome.observations[1].timestamp == at(-60)


def test_what_is_in_the_row_of_a_road_already_is_no_repeat_and_not_late(bologna: RoadGraph) -> None:
    """The rows of roads are written before that of their partition: what lies between is read again."""
    whole = roads(bologna, late_seconds=1, future_guard_seconds=1)
    log = [record(n, T0_US + n * 60_000_000, timestamp=at(n * 60)) for n in range(6)]
    whole.apply(log[:1])
    partition_key_, partition_row = next(row for row in whole.all_rows() if row[0].startswith(b"\0"))
    whole.apply(log[1:])
    rows = dict(whole.all_rows()) | {partition_key_: partition_row}
    successor = roads(bologna, rows, late_seconds=1, future_guard_seconds=1)
    assert successor.applied == 0
    again = successor.apply(log[1:])
    assert (again.observations, again.repeated, again.dead_letters) == ([], 0, [])
    assert dict(successor.all_rows()) == dict(whole.all_rows())


def test_records_whose_clock_goes_back_bring_no_repeats(feed: PartitionRoads) -> None:
    hour_us = 3_600_000_000
    early = record(0)
    feed.apply([early, *(record(n, T0_US + n * hour_us, timestamp=at(n * 3600)) for n in range(1, 4))])
    again = feed.apply([FeedRecord(9, early.value, early.key, early.timestamp)])
    assert (again.observations, again.rejected) == ([], {"late": 1})


def test_a_state_does_not_grow_without_end(bologna: RoadGraph) -> None:
    feed = roads(bologna)
    outcome = feed.apply(record(n, timestamp=at(n / 100)) for n in range(3000))
    assert len(outcome.observations) == 3000
    assert sum(len(row) for _, row in feed.all_rows()) < 30_000
    assert feed.apply([record(3000, timestamp=at(0))]).rejected == {"late": 1}
    assert feed.apply([record(3001, timestamp=at(20))]).repeated == 1


def test_a_producer_whose_clock_is_ahead_is_refused_and_changes_nothing(feed: PartitionRoads) -> None:
    """It stamps the record and the message alike, so that nothing in them contradicts the other."""

    def sent(offset: int, seconds: float, stamped_by_broker: bool = False) -> FeedRecord:
        one = record(offset, T0_US + round(seconds * 1e6), timestamp=at(seconds))
        return replace(one, timestamp_type=int(stamped_by_broker))

    assert len(feed.apply([sent(0, 0)], T0_US).observations) == 1
    outcome = feed.apply([sent(1, 600), sent(2, 86_400), sent(3, 10 * 86_400), sent(4, 60)], T0_US + 60_000_000)
    assert [letter.reason for letter in outcome.dead_letters] == ["future"] * 3
    assert outcome.dead_letters[0].detail == (
        "the record's own timestamp 2026-01-14T07:10:00Z is more than 300 s ahead of all before it and of the "
        "worker's clock, 2026-01-14T07:01:00Z: its producer's clock is wrong"
    )
    assert [one.timestamp for one in outcome.observations] == [at(60)]
    # one that comes late is still taken, and a worker whose clock is behind refuses nothing of a feed that goes on
    assert len(feed.apply([sent(5, 30), sent(6, 240)], T0_US - 600_000_000).observations) == 2
    # the broker's clock is believed, whatever the worker's says
    assert len(feed.apply([sent(7, 3000, stamped_by_broker=True)], T0_US).observations) == 1


def test_silent_roads_are_forgotten_and_there_are_no_more_than_so_many(bologna: RoadGraph) -> None:
    feed = roads(bologna, max_roads=2)
    hour_us = 3_600_000_000

    def told(offset: int, road_id: str, hour: int) -> FeedRecord:
        return record(offset, T0_US + hour * hour_us, road_id=road_id, timestamp=at(hour * 3600))

    outcome = feed.apply([told(0, "a10", 0), told(1, "a104", 0), told(2, "a103", 0), told(3, "a104", 20)])
    assert outcome.rejected == {"too_many_roads": 1}
    rows = dict(feed.changed_rows())
    outcome = feed.apply([told(4, "a103", 24), told(5, "a103", 25)])
    assert [one.source_offset for one in outcome.observations] == [5]
    assert feed.roads.keys() == {b"a104", b"a103"}
    written = feed.changed_rows()
    assert written[-1] == (b"a10", forgotten_row(5))
    assert written[-2][0].startswith(b"\0partition")
    # a row that a frozen process puts back makes no road of it, and gets its tombstone again
    again = roads(bologna, rows | dict(written[:-1]), max_roads=2)
    assert again.roads == feed.roads
    assert again.changed_rows()[-1] == written[-1]
    # it may come back
    outcome = roads(bologna, rows | dict(written[:-1])).apply([told(6, "a10", 25)])
    assert [one.road_id for one in outcome.observations] == ["a10"]


def test_roads_are_found_by_their_lines(feed: PartitionRoads, bologna: RoadGraph) -> None:
    for edge in ("a10", "a104", "a103"):
        line = line_of(bologna, edge)
        shifted = [[lon + 3e-5, lat + 3e-5] for lon, lat in line]
        assert edge in dict(accepted(feed, road_id=f"feed-{edge}", coordinates=shifted).edges)


def test_a_name_and_a_line_in_different_places_are_refused(feed: PartitionRoads, bologna: RoadGraph) -> None:
    at_a10 = bologna.shape_offsets[bologna.position_of_edge["a10"]]
    there = np.array([bologna.shape_lon[at_a10], bologna.shape_lat[at_a10]])
    lines = {edge: line_of(bologna, edge) for edge in bologna.edge_ids.tolist()}
    far = max(lines, key=lambda edge: float(np.hypot(*(np.array(lines[edge][0]) - there))))
    assert refused(feed, record(0, coordinates=lines[far])) == "unknown_road"
    beside = [[lon + 0.001, lat] for lon, lat in lines["a10"]]  # 80 m: the name counts
    assert accepted(feed, coordinates=beside).edges == [("a10", 1.0)]


def test_a_road_that_moves_is_looked_for_again(feed: PartitionRoads, bologna: RoadGraph) -> None:
    first = accepted(feed, road_id="r", coordinates=line_of(bologna, "a103"))
    second = accepted(feed, road_id="r", coordinates=line_of(bologna, "a104"), timestamp=at(1))
    assert (dict(first.edges).keys(), dict(second.edges).keys()) == ({"a103"}, {"a104"})


def test_the_line_says_which_edge_of_a_named_road(bologna: RoadGraph) -> None:
    one, other = "a103", "a104"
    names = ["way" if edge in (one, other) else edge for edge in bologna.edge_ids.tolist()]
    fields = {name: getattr(bologna, name) for name in bologna.__dataclass_fields__}
    fields["road_ids"] = type(bologna.road_ids)((len(names),), dtype=bologna.road_ids.dtype)
    fields["road_ids"][:] = names
    feed = roads(RoadGraph(**fields))
    assert accepted(feed, road_id="way", coordinates=line_of(bologna, one)).edges == [(one, 1.0)]
    assert accepted(feed, road_id="way", timestamp=at(1)).edges == [(one, 1.0), (other, 1.0)]


def test_another_graph_finds_the_edges_anew(bologna: RoadGraph) -> None:
    feed = roads(bologna)
    accepted(feed)
    fields = {name: getattr(bologna, name) for name in bologna.__dataclass_fields__}
    fields["lanes"] = bologna.lanes + 1
    other = roads(RoadGraph(**fields), dict(feed.all_rows()))
    observation = accepted(other, timestamp=at(1))
    assert observation.graph_version == RoadGraph(**fields).version != bologna.version


def test_observations_survive_the_topic(feed: PartitionRoads) -> None:
    one = accepted(feed)
    assert msgspec.json.decode(msgspec.json.encode(one), type=RoadObservation) == one


def test_a_record_that_cannot_be_read_is_refused_and_costs_no_neighbour(feed: PartitionRoads) -> None:
    whole = record(1)
    bad = unreadable(1, whole.timestamp, 1, "the name of a header is not UTF-8", whole.key, whole.value)
    outcome = feed.apply([record(0), bad, record(2, timestamp="2026-01-14T07:00:05Z")])
    assert [one.source_offset for one in outcome.observations] == [0, 2]
    (letter,) = outcome.dead_letters
    assert (letter.offset, letter.reason, letter.detail) == (
        1,
        "unreadable_record",
        "the name of a header is not UTF-8",
    )
    assert outcome.rejected == {"unreadable_record": 1}
    assert feed.applied == 2


def test_the_row_of_a_partition_says_which_log_it_is_of(bologna: RoadGraph) -> None:
    before = roads(bologna)
    before.apply([record(0)])
    rows = dict(before.all_rows())
    # rows that do not tell agree with any
    told = dict(roads(bologna, rows, log=SourceLog("one", 8)).all_rows())
    for log in (UNTOLD, SourceLog("one", 8), SourceLog("one"), SourceLog("", 8)):
        again = roads(bologna, told, log=log)
        assert (again.applied, dict(again.all_rows())) == (0, told)
    with pytest.raises(TopicMadeAnew):
        roads(bologna, told, log=SourceLog("two", 8))
    with pytest.raises(PartitionsChanged, match="when the topic had 8 partitions; it has 9 now"):
        roads(bologna, told, log=SourceLog("one", 9))
