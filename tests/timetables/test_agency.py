"""What an agency says itself is read, kept apart from what we know, and told on."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from google.transit import gtfs_realtime_pb2 as gtfs_rt

from models.timestamps import rfc3339
from models.timetables.agency import AgencyAlert, AgencyTrip
from tests.timetables import synthetic
from tests.timetables.rig import START_DATE, day_s, timetable_of
from tests.timetables.test_realtime import validated
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import load_settings
from trafficapp.timetables.live.agency import AgencyTrips
from trafficapp.timetables.live.agency_feeds import ALERTS_OF_AGENCIES, TRIPS_OF_AGENCIES
from trafficapp.timetables.live.boards import arrivals
from trafficapp.timetables.realtime_in import FeedReader, Snapshot
from trafficapp.timetables.realtime_out import RealtimeFeeds
from trafficapp.timetables.schedule import Schedule

#: 9:02 of the day; line-7 leaves at 9:10, line-6 has left at 9:00.
NOW_S = day_s() + 9 * 3600 + 120


def feed_of(now_s: float, *alerts: str, route_id: str = "R1") -> gtfs_rt.FeedMessage:
    message = gtfs_rt.FeedMessage()
    message.header.gtfs_realtime_version = "2.0"
    message.header.timestamp = int(now_s)
    for name in alerts:
        entity = message.entity.add()
        entity.id = name
        entity.alert.header_text.translation.add(text=f"Lavori {name}", language="it")
        entity.alert.header_text.translation.add(text=f"Works {name}")
        entity.alert.cause, entity.alert.effect = gtfs_rt.Alert.CONSTRUCTION, gtfs_rt.Alert.DETOUR
        entity.alert.active_period.add(start=int(now_s) - 60)
        entity.alert.informed_entity.add(route_id=route_id)
        entity.alert.informed_entity.add(stop_id="unknown")
    return message


def add_trips(message: gtfs_rt.FeedMessage) -> None:
    """One trip is cancelled, one late, one of which nobody else says anything skips a stop."""
    for trip_id, relationship in (("line-8", "CANCELED"), ("line-7", "SCHEDULED"), ("line-6", "SCHEDULED")):
        entity = message.entity.add()
        entity.id = trip_id
        told = entity.trip_update
        told.trip.trip_id, told.trip.start_date = trip_id, START_DATE
        told.trip.schedule_relationship = gtfs_rt.TripDescriptor.ScheduleRelationship.Value(relationship)
        if trip_id == "line-7":
            told.stop_time_update.add(stop_sequence=20).arrival.delay = 240
        if trip_id == "line-6":
            told.delay = 60
            skipped = told.stop_time_update.add(stop_id="L4")
            skipped.schedule_relationship = gtfs_rt.TripUpdate.StopTimeUpdate.SKIPPED
            told.stop_time_update.add(stop_id="L5").arrival.time = int(NOW_S) + 500


def taken(reader: FeedReader, message: gtfs_rt.FeedMessage, now_s: float) -> Snapshot:
    """What is sent of a feed; it is known from then on."""
    snapshot = reader.read(message.SerializeToString(), now_s)
    assert snapshot is not None
    reader.was_sent(snapshot)
    return snapshot


def test_alerts_are_told_once_and_again_when_they_change_or_are_gone() -> None:
    reader = FeedReader(source="agency.example")
    steps = taken(reader, feed_of(NOW_S, "a", "b"), NOW_S).alerts
    assert [(one.alert_id, one.header, one.language) for one in steps] == [
        ("agency.example a", "Works a", None),
        ("agency.example b", "Works b", None),
    ]
    same = feed_of(NOW_S, "a", "b")
    same.header.timestamp += 30
    assert taken(reader, same, NOW_S + 30).alerts == []
    changed = feed_of(NOW_S, "a", route_id="R2")
    changed.header.timestamp += 60
    told = {one.alert_id: (one.is_over, one.timestamp) for one in taken(reader, changed, NOW_S + 60).alerts}
    later = rfc3339(round(NOW_S + 60) * 1_000_000)
    assert told == {"agency.example a": (False, later), "agency.example b": (True, later)}
    assert [one.alert_id for one in reader.alerts_again(NOW_S + 60)] == ["agency.example a"]
    assert reader.alerts_again(NOW_S + 90) == []
    # who writes them by hand is understood, and who says too much refused
    settings = load_settings()
    trip = AgencyTrip(run_id="a", source="b", trip_id="c", timestamp=later)
    for feed, message in ((ALERTS_OF_AGENCIES, steps[0]), (TRIPS_OF_AGENCIES, trip)):
        decoder = FeedDecoder(feed, settings)
        assert decoder.check(b"any", msgspec.json.encode(message), round(NOW_S * 1e6)).message == message


def test_what_an_agency_says_of_its_trips_is_at_its_stops_and_in_our_feeds(tmp_path: Path) -> None:
    static = synthetic.write(tmp_path / "feed.zip", synthetic.tables())
    schedule = Schedule(timetable_of(static))
    message = feed_of(NOW_S, "a")
    add_trips(message)
    snapshot = taken(FeedReader(source="agency.example"), message, NOW_S)
    said = AgencyTrips(snapshot.trips)

    def at_stop(stop_id: str) -> dict[str, tuple[str, int | None, bool]]:
        found = arrivals(schedule, [], stop_id, NOW_S, 1800, said)
        return {one.trip_id: (one.source, one.late_seconds, one.is_cancelled) for one in found if one.route_id == "R1"}

    assert at_stop("L5") == {
        "line-6": ("agency", 500 - (5 * 90 - 120), False),
        "line-7": ("agency", 240, False),
        "line-8": ("timetable", None, True),
    }
    # it is skipped there, so all that is known is the timetable; and before the delay is told there is none
    assert at_stop("L4")["line-6"] == ("timetable", None, False)
    assert at_stop("L0") == {"line-7": ("timetable", None, False), "line-8": ("timetable", None, True)} | {
        "line-9": ("timetable", None, False)
    }

    feeds = RealtimeFeeds(schedule)
    elsewhere = msgspec.structs.replace(snapshot.alerts[0], alert_id="x", informed=snapshot.alerts[0].informed[1:])
    over = msgspec.structs.replace(snapshot.alerts[0], alert_id="y", is_over=True)
    messages = {
        "vehicles": feeds.vehicle_positions(NOW_S, []),
        "trips": feeds.trip_updates(NOW_S, [], snapshot.trips),
        "alerts": feeds.alerts(NOW_S, [], [*snapshot.alerts, elsewhere, over]),
    }
    (cancelled,) = messages["trips"].entity
    assert cancelled.trip_update.trip.trip_id == "line-8"
    assert cancelled.trip_update.trip.schedule_relationship == gtfs_rt.TripDescriptor.CANCELED
    (alert,) = messages["alerts"].entity
    assert [one.route_id for one in alert.alert.informed_entity] == ["R1"]
    for name, one in messages.items():
        (tmp_path / name).write_bytes(one.SerializeToString())
    # a run that is cancelled has no vehicle, of which the validator warns all the same
    found = validated(tmp_path, static, NOW_S)
    assert [one["code"] for one in found] == ["W002"], json.dumps(found, indent=1)


@pytest.mark.parametrize("odd", [{"cause": "DRAGONS"}, {"effect": ""}, {"severity": "?"}])
def test_words_that_gtfs_realtime_does_not_have_are_told_as_unknown(tmp_path: Path, odd: dict[str, str]) -> None:
    schedule = Schedule(timetable_of(synthetic.write(tmp_path / "feed.zip", synthetic.tables())))
    alert: AgencyAlert = msgspec.structs.replace(
        taken(FeedReader(source="agency.example"), feed_of(NOW_S, "a"), NOW_S).alerts[0], **odd
    )
    (told,) = RealtimeFeeds(schedule).alerts(NOW_S, [], [alert]).entity
    assert "UNKNOWN" in str(told.alert)
