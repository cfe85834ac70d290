"""What is one congestion event, which goes on, what is told of it."""

from __future__ import annotations

import random

import pytest

from models.roads.current import RoadObservation
from tests.congestion.street import BEGIN_US, GRAPH, MINUTE_US, NETWORK, Street, observed
from trafficapp.congestion.events import Change, CongestionEvents
from trafficapp.congestion.wording import notification_of


def kinds(changes: list[Change]) -> list[str]:
    return [change.kind for change in changes]


def test_jammed_roads_that_touch_are_one_event_with_a_head_and_a_tail() -> None:
    street = Street()
    assert street.see(1, 2, 3, 4) == []
    (begun,) = street.see(1, 2, 3, 4)
    event = begun.event
    assert begun.kind == "begun"
    assert [road.road_id for road in event.roads] == ["e2", "e3", "e4"]
    assert (event.head.road_id, event.tail.road_id) == ("e4", "e2")
    assert event.length_m == pytest.approx(3 * 111.2, abs=1)
    assert (event.began_at, event.severity, event.cause) == ("2026-03-02T07:00:00Z", "WARNING", None)
    assert event.head.latitude == pytest.approx(44.505)
    assert event.tail.latitude == pytest.approx(44.502)
    assert street.see(3, 2, 3, 4) == []


def test_the_queue_of_a_side_street_belongs_to_the_event_and_not_to_its_length() -> None:
    street = Street()
    (begun,) = street.see(2, 3, 4, 5, 10)
    assert begun.event.head.road_id == "e5"
    assert begun.event.tail.road_id == "e3"
    assert begun.event.length_m == pytest.approx(3 * 111.2, abs=1)
    assert begun.event.extent_m == pytest.approx(3 * 111.2 + 79.3, abs=1)


def test_one_slow_observation_is_no_jam_and_jams_apart_are_two_events() -> None:
    street = Street()
    street.see(1, 2)
    assert street.see(3) == []
    assert len({change.event.event_id for change in street.see(2, 1, 7)}) == 2


def test_an_event_is_told_again_when_it_has_doubled_and_when_it_is_critical_and_at_its_end() -> None:
    street = Street(critical_length_m=600)
    (begun,) = street.see(2, 5)
    assert street.see(5, 4, 5) == []  # it has doubled, but was told five minutes ago
    (changed,) = street.see(10, 4, 5)
    assert (changed.kind, changed.event.severity) == ("changed", "WARNING")
    (worse,) = street.see(3, 0, 1, 2, 3, 4, 5)
    assert (worse.kind, worse.event.severity, worse.event.state) == ("changed", "CRITICAL", "growing")
    assert street.see(5, 0, 1, 2, 3, 4, 5) == []
    assert street.see(5) == []
    (ended,) = street.see(4)
    assert (ended.kind, ended.event.ended_at) == ("ended", "2026-03-02T07:26:00Z")
    assert {one.event.event_id for one in (begun, changed, worse, ended)} == {begun.event.event_id}
    assert len({one.id for one in street.told}) == 4


def test_a_jam_that_comes_back_within_five_minutes_is_the_same_event() -> None:
    street = Street()
    (begun,) = street.see(2, 5)
    assert street.see(4) == []
    assert street.see(3, 5) == []
    (ended,) = street.see(10)
    assert ended.event.event_id == begun.event.event_id
    (new,) = street.see(2, 5)
    assert new.event.event_id != begun.event.event_id


def test_of_events_that_merge_the_oldest_goes_on_with_what_all_have_lost() -> None:
    street = Street()
    (old,) = street.see(2, 2)
    (young,) = street.see(5, 2, 6)
    before = {one.event_id: one.delay_vehicle_hours for one in street.events.take_documents()}
    street.see(1, 2, 3, 4, 5, 6)
    (ended,) = street.see(1, 2, 3, 4, 5, 6)
    assert (ended.kind, ended.event.event_id) == ("ended", young.event.event_id)
    assert ended.event.merged_into == old.event.event_id
    merged = {one.event_id: one for one in street.events.take_documents()}
    assert len(merged[old.event.event_id].roads) == 5
    assert merged[old.event.event_id].delay_vehicle_hours > sum(before.values())
    assert merged[young.event.event_id].state == "ended"


def test_of_an_event_that_splits_the_longest_part_goes_on_and_the_other_is_told_when_it_grows() -> None:
    street = Street()
    (begun,) = street.see(2, 2, 3, 4, 5, 6)
    assert street.see(12, 2, 4, 5, 6) == []
    documents = {one.event_id: one for one in street.events.take_documents()}
    assert [road.road_id for road in documents.pop(begun.event.event_id).roads] == ["e4", "e5", "e6"]
    (part,) = documents.values()
    assert [road.road_id for road in part.roads] == ["e2"]
    (grown,) = street.see(2, 1, 2, 4, 5, 6)
    assert (grown.kind, grown.event.event_id) == ("begun", part.event_id)


def test_a_short_event_is_told_when_it_lasts() -> None:
    street = Street(told_length_m=200)
    assert street.see(5, 5) == []
    assert kinds(street.see(1, 5)) == ["begun"]


def test_roads_that_touch_an_event_or_were_on_it_lately_are_told_by_it() -> None:
    street = Street()
    (begun,) = street.see(2, 4, 5)
    event_id = begun.event.event_id

    def of(number: int) -> str:
        return street.events.event_of(f"e{number}", [(f"e{number}", 1.0)])

    assert [of(number) for number in (2, 3, 4, 5, 6, 10)] == ["", event_id, event_id, event_id, event_id, event_id]
    street.see(3)
    assert [of(number) for number in (3, 4, 5)] == ["", event_id, event_id]


def test_the_delay_is_that_of_vehicles_whose_density_follows_from_their_speed() -> None:
    street = Street()
    street.see(61, 5)
    (event,) = street.events.take_documents()
    # 133 vehicles a kilometre of which 80 % stand on 0.111 km and lose 80 % of an hour
    assert event.delay_vehicle_hours == pytest.approx(1000 / 7.5 * 0.1112 * 0.8 * 0.8, rel=0.001)
    assert event.delay_method == "greenshields"


def test_a_closed_road_at_its_head_is_the_cause() -> None:
    street = Street()
    street.take(observed(6, 0, 0, street.offset, closed=True, jam_factor=10.0))
    for minute in range(3):
        street.take(observed(5, minute, 10, street.offset))
        street.minute += 1
    (begun,) = street.told
    assert begun.event.cause is not None
    assert (begun.event.cause.kind, begun.event.cause.id) == ("closure", "e6")
    assert notification_of(begun).message.endswith("cause: road e6 is closed to traffic")


def test_a_road_that_nothing_is_heard_of_is_not_jammed_any_more() -> None:
    street = Street()
    street.see(2, 5)
    for _ in range(30):
        street.take(observed(0, street.minute, 50, street.offset))
        street.minute += 1
    assert kinds(street.told) == ["begun", "ended"]


def test_what_is_said_again_or_cannot_be_raised_by_makes_no_jam() -> None:
    street = Street()
    street.see(2, 5)
    street.see(12)
    told = list(street.told)
    repeated = [observed(5, minute, 10, 5 + 11 * minute) for minute in range(2)]
    for one in repeated:
        street.take(one)
    for minute in range(3):
        street.take(observed(7, minute, 5, street.offset, vehicles=1, credibility=0.3))
        street.minute += 1
    assert street.told == told


def test_messages_say_where_how_long_and_what_was_lost() -> None:
    street = Street()
    street.see(2, 2, 3, 4)
    street.see(10)
    assert [(one.alert_type, one.change, one.road_id, one.message) for one in map(notification_of, street.told)] == [
        ("congestion", "begun", "e4", "Via 4: a queue of 334 m on 3 roads, back to Via 2"),
        (
            "congestion",
            "ended",
            "e4",
            "Via 4: congestion has dissolved after 3 minutes; 0.9 vehicle-hours lost (estimated)",
        ),
    ]


def test_whoever_goes_on_from_the_state_row_tells_the_same() -> None:
    chance = random.Random(7)
    log = list[tuple[int, RoadObservation]]()
    speeds = [50.0] * 11
    for minute in range(120):
        for number in range(11):
            if chance.random() < 0.15:
                speeds[number] = chance.choice((5.0, 18.0, 22.0, 30.0, 50.0))
            log.append((minute, observed(number, minute, speeds[number], len(log))))

    def run(restarts: bool) -> tuple[list[Change], bytes]:
        street, row, told = Street(), None, list[Change]()
        events = street.events
        for offset, (minute, one) in enumerate(log):
            at_us = BEGIN_US + minute * MINUTE_US
            if restarts and offset % 37 == 0 and offset:
                events = CongestionEvents(street.settings, NETWORK, row, 30 * MINUTE_US)
                # the last ones come again
                for again in range(max(offset - 5, 0), offset):
                    events.apply(again, log[again][1], BEGIN_US + log[again][0] * MINUTE_US, at_us)
                assert events.take_changes() == []
            events.apply(offset, one, at_us, at_us)
            told += events.take_changes()
            row = events.row()[1]
        return told, events.row()[1]

    told, row = run(restarts=False)
    assert (told, row) == run(restarts=True)
    assert {change.kind for change in told} == {"begun", "changed", "ended"}
    assert any(change.event.merged_into for change in told)


def test_the_street_is_as_it_is_said_to_be() -> None:
    assert GRAPH.edge_count == 11
