"""Which roads are suspected to be barred by an incident, and what becomes of a suspicion."""

from __future__ import annotations

import pytest
from msgspec import structs

from models.roads.congestion import CongestionCause, CongestionEvent
from models.timestamps import rfc3339
from tests.congestion.street import BEGIN_US, FREE, JAM, MINUTE_US, NETWORK, ROADS, observed
from trafficapp.congestion.causes import PlacedIncident, confirmations_of
from trafficapp.congestion.events import CongestionEvents
from trafficapp.congestion.recurrence import days_slow, with_slow
from trafficapp.congestion.suspicion import Before
from trafficapp.congestion.wording import notification_of
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.settings import JamSettings, SuspicionSettings

DAY_US = 1440 * MINUTE_US


def report(incident_id: str, latitude: float, longitude: float, at_us: int) -> PlacedIncident:
    """An incident that a desk told of."""
    changes = {"incident_type": "accident", "latitude": latitude, "longitude": longitude, "reported_at": rfc3339(at_us)}
    return PlacedIncident(structs.replace(INCIDENT_STEPS.sample, incident_id=incident_id, **changes), frozenset())


class Watched:
    """The street, with what is known of each road before an observation, as the roads of a city keep it."""

    def __init__(self) -> None:
        self.events = CongestionEvents(JamSettings(), NETWORK, None, 30 * MINUTE_US, SuspicionSettings())
        self.speeds: dict[int, list[tuple[int, float]]] = {}
        self.slow_days: dict[int, dict[int, int]] = {}
        self.offset = self.minute = 0

    def see(self, minutes: int, **speeds: float) -> None:
        for _ in range(minutes):
            at_us = BEGIN_US + self.minute * MINUTE_US
            for number in range(ROADS + 1):
                seen = observed(number, self.minute, speeds.get(f"e{number}", FREE), self.offset)
                known, days = self.speeds.setdefault(number, []), self.slow_days.get(number, {})
                self.events.apply(self.offset, seen, at_us, at_us, before=Before(known[-10:], days))
                known.append((at_us, seen.current_speed))
                self.slow_days[number] = self.events.slow_days(days, seen, at_us)
                self.offset += 1
            self.minute += 1

    def take_over(self) -> None:
        self.events = CongestionEvents(
            JamSettings(), NETWORK, self.events.row()[1], 30 * MINUTE_US, SuspicionSettings()
        )

    def document(self) -> CongestionEvent:
        (one,) = self.events.take_documents()
        return one


def test_a_road_that_stands_of_a_sudden_while_traffic_flows_beyond_it_is_suspected_once_it_stays() -> None:
    street = Watched()
    street.see(5)
    street.see(1, e5=JAM)
    assert not list(street.events.unconfirmed())
    street.see(1, e5=JAM)
    event = street.document()
    found = event.suspected_incident
    assert found is not None
    assert (found.road_id, found.state, found.incident_id) == ("e5", "unconfirmed", None)
    assert (found.since, found.suspected_at) == (rfc3339(BEGIN_US + 5 * MINUTE_US), rfc3339(BEGIN_US + 6 * MINUTE_US))
    numbers, beyond, usual = (
        "100% of free flow minutes ago, 20% now",
        "beyond it traffic flows",
        "on any of the last 7 days",
    )
    assert found.evidence == f"{numbers}, and {beyond}; not slow at this time {usual}"
    assert event.cause is not None
    assert (event.cause.kind, event.cause.id) == ("suspected_incident", "e5")
    (begun,) = street.events.take_changes()
    assert "cause: suspected incident, unconfirmed" in notification_of(begun).message
    # the queue grows: it is the same suspicion, and nothing more is told
    street.see(3, e5=JAM, e4=JAM, e3=JAM)
    assert street.events.take_changes() == []
    grown = street.document()
    assert grown.suspected_incident == found


def test_a_queue_that_grows_with_demand_or_stands_before_another_one_is_not_suspected() -> None:
    street = Watched()
    for speed in (45, 40, 35, 30, 26, 24, 23, 22, 21, 18, 18, 18):
        street.see(1, e5=speed)
    assert [road.road_id for road in street.document().roads] == ["e5"]
    # e4 falls of a sudden, but since e5 stands beyond it
    street.see(3, e4=JAM, e5=18)
    assert street.document().suspected_incident is None


def test_what_recurs_must_have_flowed_more() -> None:
    at_us = BEGIN_US
    days: dict[int, int] = {}
    for before in (9, 3, 2, 1):
        days = with_slow(days, at_us - before * DAY_US + 20 * MINUTE_US)
    assert days_slow(days, at_us) == 3
    assert days_slow(days, at_us + 120 * MINUTE_US) == 0
    assert set(with_slow(days, at_us + 20 * DAY_US)) == {(at_us + 20 * DAY_US) // DAY_US}

    def is_suspected(days_before: int) -> bool:
        street = Watched()
        street.slow_days[5] = {}
        for number in range(1, days_before + 1):
            street.slow_days[5] = with_slow(street.slow_days[5], BEGIN_US - number * DAY_US)
        street.see(5, e5=30)
        street.see(2, e5=JAM)
        return bool(list(street.events.unconfirmed()))

    # it flowed at 60 %, and 50 % and 5 % a day are wanted
    assert [is_suspected(number) for number in (0, 2, 3, 7)] == [True, True, False, False]


def test_a_report_near_by_confirms_it_and_is_the_cause() -> None:
    street = Watched()
    street.see(5)
    street.see(2, e5=JAM)
    ((event_id, suspicion),) = street.events.unconfirmed()
    assert suspicion.latitude is not None and suspicion.longitude is not None  # noqa: PT018
    near = report("near", suspicion.latitude + 0.001, suspicion.longitude, BEGIN_US + 9 * MINUTE_US)
    far = report("far", suspicion.latitude + 0.01, suspicion.longitude, BEGIN_US + 9 * MINUTE_US)
    late = report("late", suspicion.latitude, suspicion.longitude, BEGIN_US + 90 * MINUTE_US)
    settings = SuspicionSettings()
    assert confirmations_of(street.events.unconfirmed(), [far, late], settings) == {}
    found = confirmations_of(street.events.unconfirmed(), [far, near, late], settings)
    assert found == {event_id: CongestionCause(kind="incident", id="near", description="accident")}
    street.events.confirm(event_id, found[event_id])
    street.take_over()
    event = street.document()
    assert event.suspected_incident is not None
    assert (event.suspected_incident.state, event.suspected_incident.incident_id) == ("confirmed", "near")
    assert event.cause == found[event_id]
    assert not list(street.events.unconfirmed())


@pytest.mark.parametrize("after_minutes", [5, 6, 7, 9, 12])
def test_whoever_goes_on_from_the_row_tells_the_same(after_minutes: int) -> None:
    told = []
    for takes_over in (False, True):
        street = Watched()
        for minute in range(20):
            if takes_over and minute == after_minutes:
                street.take_over()
            slow = {f"e{number}": JAM for number in range(6 - min(minute // 3, 4), 6) if 5 <= minute < 14}
            street.see(1, **slow)
        told.append((street.events.row(), [structs.astuple(one) for one in street.events.take_documents()]))
    assert told[0] == told[1]
    assert told[0][1]
