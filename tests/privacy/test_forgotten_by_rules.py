"""Workers forget a vehicle when they read that it was erased, and so does what they remember in the log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord

from models.fleet.travels import WrongWay
from models.roads.notifications import RoadNotification
from models.transit.inner import Position, RouteOf
from tests.feeds.rules_place import RulesPlace, rules_place
from trafficapp.feeds.rules import ERASED_HEADER, When
from trafficapp.fleet.feeds import CARS, FLEET, POSITIONS
from trafficapp.fleet.wrong_ways import WrongWays
from trafficapp.settings import load_settings
from trafficapp.transit.feeds import TRANSIT
from trafficapp.transit.partition import LIVE_VEHICLE_TABLE

GONE, OTHER = "BO123XY", "MO77ABC"
AT_US = 1_768_392_000_000_000


@pytest.fixture
async def place(kafka_bootstrap: str) -> AsyncIterator[RulesPlace]:
    async with rules_place([CARS], FLEET, [POSITIONS], kafka_bootstrap, fleet={"matching": False}) as made:
        yield made


def car(vehicle_id: str) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(CARS.sample, device_id=vehicle_id))


def newest(records: Iterable[ConsumerRecord]) -> dict[bytes, bytes | None]:
    return {record.key: record.value for record in records if not record.key.startswith(b"\x00")}


async def test_a_worker_forgets_it_and_so_does_the_log(place: RulesPlace) -> None:
    await place.begin()
    await place.send("vehicle-data", car(GONE), car(OTHER))
    await place.settle()
    changelog = FLEET.changelog_in(place.settings)
    assert set(newest(await place.told(changelog))) == {GONE.encode(), OTHER.encode()}
    assert place.producer is not None
    for partition in range(place.declared.partitions_in(place.settings)):
        told, headers = json.dumps([GONE]).encode(), [(ERASED_HEADER, b"")]
        await place.producer.send_and_wait(FLEET.topic_in(place.settings), told, None, partition, headers=headers)
    await place.settle()
    rows = newest(await place.told(changelog))
    assert rows[GONE.encode()] is None
    assert rows[OTHER.encode()] is not None
    # whoever takes over does not know it either
    await place.begin()
    assert place.rules is not None
    known = await place.rules.remembered(changelog, range(place.declared.partitions_in(place.settings)))
    assert GONE.encode() not in {key for rows in known.values() for key in rows}
    assert OTHER.encode() in {key for rows in known.values() for key in rows}


def test_transit_takes_back_what_compacted_topics_have() -> None:
    settings = load_settings()
    made: Any = TRANSIT.make(settings)(0, {})
    when = When(AT_US, AT_US)
    list(made.apply(RouteOf(GONE, "route-1", "bus", [(44.5, 11.3), (44.6, 11.4)], 25.0), when))
    list(made.apply(Position(GONE, "bus", 44.5, 11.3, 3, "in_service", AT_US), when))
    list(made.changed_rows())
    told = made.erase([GONE, OTHER])
    assert {(one.topic, one.key, one.value) for one in told} == {
        (LIVE_VEHICLE_TABLE, GONE.encode(), None),
        (f"{settings.app_id}-transit-routes", b"route-1", None),
    }
    assert [row for _, row in made.changed_rows()] == [None, None]
    # nothing is due of it any more
    assert list(made.tick(AT_US + 10**13)) == []


def test_who_drove_the_wrong_way_is_forgotten() -> None:
    ways = WrongWays(2, {})
    told = RoadNotification(
        event_id="", timestamp="", alert_type="wrong_way", road_id="a", road_name="", severity="CRITICAL", message=""
    )
    for vehicle, edge in ((GONE, "a"), (OTHER, "a"), (GONE, "b")):
        list(ways.take(WrongWay(edge, vehicle, AT_US, told)))
    assert GONE.encode() in b"".join(row or b"" for _, row in ways.changed_rows())
    ways.erase(frozenset({GONE}))
    rows = dict(ways.changed_rows())
    assert rows[b"\xffb"] is None
    assert GONE.encode() not in (rows[b"\xffa"] or b"")
    assert OTHER.encode() in (rows[b"\xffa"] or b"")
    ways.tick(AT_US)
