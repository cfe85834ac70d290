"""Merging, reopening, lifecycle and expiry of incidents: plain values, and an oracle for what nobody thought of."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.incidents.current import Incident, IncidentAlert, IncidentReport
from models.incidents.inner import Action, InnerMessage, Report
from models.timestamps import epoch_us, rfc3339
from tests.incidents.oracle import Oracle
from tests.incidents.oracle import Told as ToldToOracle
from trafficapp.feeds.rules import Told, When
from trafficapp.incidents.rules import IncidentRules
from trafficapp.incidents.topics import ALERTS, INCIDENTS, REPORTS
from trafficapp.settings import IncidentSettings

SECOND = 1_000_000
NOON = epoch_us("2026-01-14T12:00:00Z")
#: Degrees to the north of a metre.
METRE = 1 / 111_195.08
LAT, LON = 44.4985, 11.3175


def report(source_id: str = "a", at: float = 0, north_m: float = 0, **changes: Any) -> Report:
    """A report at seconds after noon, of a place some metres to the north."""
    told: dict[str, Any] = {"source": "desk", "word": "accident", "kind": "accident", "lon": LON}
    told |= {"source_id": source_id, "time_us": NOON + round(at * SECOND), "lat": LAT + north_m * METRE}
    return Report(**told | changes)


class City:
    """Rules, and what they said last of each incident."""

    def __init__(self, rows: dict[bytes, bytes] | None = None, **changes: Any) -> None:
        self.settings = IncidentSettings(**changes)
        self.rows = dict(rows or {})
        self.rules = IncidentRules(self.settings, self.rows)
        self.incidents: dict[str, Incident] = {}
        self.emergencies: dict[str, Incident] = {}
        self.reports: list[IncidentReport] = []
        self.alerts: list[IncidentAlert] = []

    def say(self, message: InnerMessage, at: float = 0, clock: float | None = None) -> list[Told]:
        """A message that comes in at seconds after noon."""
        when = When(NOON + round(at * SECOND), NOON + round((at if clock is None else clock) * SECOND))
        return self._take(self.rules.apply(message, when))

    def wait(self, until: float) -> list[Told]:
        return self._take(self.rules.tick(NOON + round(until * SECOND)))

    def act(self, action: Any, at: float, incident_id: str = "a", **changes: Any) -> list[Told]:
        changes = {"action_id": f"{action} {at}"} | changes
        return self.say(Action(incident_id=incident_id, action=action, by="op", **changes), at)

    def restart(self) -> None:
        self.rules = IncidentRules(self.settings, self.rows)

    def _take(self, said: Iterable[Told]) -> list[Told]:
        told = list(said)
        for record in told:
            topic, key, value = record.topic, record.key, record.value
            assert value is not None
            if topic == REPORTS:
                self.reports.append(msgspec.json.decode(value, type=IncidentReport))
            elif topic == ALERTS:
                self.alerts.append(msgspec.json.decode(value, type=IncidentAlert))
            else:
                assert topic == INCIDENTS
                one = self.incidents[key.decode()] = msgspec.json.decode(value, type=Incident)
                if one.is_emergency:
                    self.emergencies[key.decode()] = one
        for key, row in self.rules.changed_rows():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        return told

    def effects(self) -> list[tuple[str, str]]:
        return [(one.incident_id, one.effect) for one in self.reports]


# ---------------------------------------------------------------------- merging


@pytest.mark.parametrize(
    ("north_m", "at", "same"), [(199.9, 0, True), (200.1, 0, False), (0, 600, True), (0, 601, False), (0, -600, True)]
)
def test_reports_within_200_m_and_10_minutes_are_one_incident(north_m: float, at: float, same: bool) -> None:
    city = City()
    city.say(report("a"))
    city.say(report("b", at, north_m))
    assert city.effects() == [("a", "opened"), ("a", "merged") if same else ("b", "opened")]
    assert city.incidents["a"].reports == 1 + same


def test_the_distance_is_the_same_in_all_directions_near_the_pole_and_across_180_degrees() -> None:
    for one, other in (((89.999, 0), (89.9995, 180)), ((0, 179.9995), (0, -179.9995)), ((60, 10), (60, 10.0035))):
        city = City()
        city.say(report("a", lat=one[0], lon=one[1]))
        city.say(report("b", lat=other[0], lon=other[1]))
        assert city.effects()[1] == ("a", "merged")


def test_the_nearest_one_takes_it_and_the_place_does_not_wander() -> None:
    city = City()
    city.say(report("a"))
    city.say(report("b", north_m=300))
    city.say(report("c", north_m=140))
    city.say(report("d", north_m=160))
    city.say(report("e", north_m=-190))
    assert [incident for incident, _ in city.effects()] == ["a", "b", "a", "b", "a"]
    assert city.incidents["a"].latitude == LAT


def test_what_is_not_of_traffic_is_merged_with_its_own_kind_only() -> None:
    city = City()
    city.say(report("a"))
    city.say(report("b", kind="theft", word="Theft"))
    city.say(report("c", kind="theft", word="Robbery"))
    city.say(report("d", kind="road_closure", word="road_closure", level=3))
    assert [incident for incident, _ in city.effects()] == ["a", "b", "b", "a"]
    merged = city.incidents["a"]
    assert (merged.incident_type, merged.closed, merged.severity) == ("accident", True, "high")


def test_a_source_that_says_more_of_its_incident_is_believed_wherever_and_whenever() -> None:
    city = City()
    city.say(report("a", level=5))
    city.say(report("a", 5000, 900, level=2), at=5000)
    assert city.effects() == [("a", "opened"), ("a", "updated")]
    assert (city.incidents["a"].severity_level, city.incidents["a"].latitude) == (2, LAT + 900 * METRE)
    city.say(report("b", 5000, 1000), at=5001)
    assert city.effects()[-1] == ("a", "merged")
    city.say(report("a", 4000, level=1), at=5002)
    assert city.effects()[-1] == ("a", "late")
    assert city.incidents["a"].severity_level == 4


def test_a_repeat_changes_nothing() -> None:
    city = City()
    one, other = report("a"), report("a", 10, level=3)
    for message in (one, other):
        city.say(message)
    before = city.incidents["a"]
    assert city.say(one) == city.say(other) == []
    city.restart()
    assert city.say(one) == []
    assert city.incidents["a"] == before


def test_a_name_that_is_taken_gets_another_id_and_the_same_one_each_time() -> None:
    ids = set()
    for _ in range(2):
        city = City()
        city.say(report("1"))
        city.say(report("1", source="emergency", north_m=5000))
        (other,) = city.incidents.keys() - {"1"}
        ids.add(other)
        assert city.reports[1].source_id == "1"
    assert len(ids) == 1


# ---------------------------------------------------------------------- severity


@pytest.mark.parametrize(("level", "severity"), [(1, "low"), (2, "low"), (3, "medium"), (4, "high"), (5, "critical")])
def test_severities_have_classes(level: int, severity: str) -> None:
    city = City()
    city.say(report("a", level=level))
    assert city.incidents["a"].severity == severity


def test_without_a_severity_it_follows_from_the_kind() -> None:
    city = City(kind_severity={"theft": 3})
    city.say(report("a", kind="theft"))
    city.say(report("b", kind="other"))
    assert [city.incidents[name].severity_level for name in "ab"] == [3, 2]


# ---------------------------------------------------------------------- lifecycle


def test_the_clock_of_an_incident() -> None:
    city = City()
    city.say(report("a", -40, source="citizen", level=4), at=0)
    assert (city.incidents["a"].state, city.incidents["a"].detection_seconds) == ("reported", 40)
    city.act("confirm", 60)
    city.act("respond", 100, unit_id="ambulance-1")
    city.act("respond", 110, unit_id="police-2")
    city.act("clear", 1900)
    assert city.incidents["a"].state == "cleared"
    city.wait(2199)
    assert city.incidents["a"].state == "cleared"
    city.wait(2201)
    done = city.incidents["a"]
    assert (done.state, done.status) == ("normal", "resolved")
    assert [done.detection_seconds, done.verification_seconds, done.response_seconds] == [40, 60, 40]
    assert [done.clearance_seconds, done.recovery_seconds] == [1900, 300]
    assert (done.verified_by, done.cleared_by, done.units) == ("op", "op", ["ambulance-1", "police-2"])
    times = [done.reported_at, done.verified_at, done.responding_at, done.cleared_at, done.normal_at]
    assert times == [rfc3339(NOON + second * SECOND) for second in (0, 60, 100, 1900, 2200)]


def test_durations_do_not_hang_on_clocks_that_run_ahead() -> None:
    city = City()
    city.say(report("a", 86_400 * 30, source="emergency"), at=0)
    city.act("clear", 500)
    assert (city.incidents["a"].detection_seconds, city.incidents["a"].clearance_seconds) == (None, 500)
    assert city.incidents["a"].timestamp == "2026-02-13T12:00:00Z"


def test_a_citizens_report_is_not_verified_until_somebody_confirms_it() -> None:
    city = City()
    city.say(report("a", source="citizen", level=5))
    assert city.incidents["a"].verified_at is None
    assert (city.alerts, city.emergencies) == ([], {})
    city.act("confirm", 10, level=3)
    assert (city.incidents["a"].state, city.incidents["a"].severity) == ("verified", "medium")


def test_a_desk_verifies_what_citizens_reported_and_citizens_do_not_make_it_worse() -> None:
    city = City()
    city.say(report("a", source="citizen", level=5))
    city.say(report("b", level=2))
    city.say(report("c", source="citizen", kind="road_closure", level=5))
    incident = city.incidents["a"]
    assert (incident.state, incident.severity_level, incident.closed, incident.reports) == ("verified", 2, False, 3)
    assert (incident.sources, incident.verified_by) == (["citizen", "desk"], "desk")


def test_what_is_rejected_is_over_and_takes_no_reports() -> None:
    city = City()
    city.say(report("a", source="citizen"))
    city.act("reject", 10)
    assert city.incidents["a"].state == "rejected"
    city.say(report("b", source="citizen"), at=20)
    city.say(report("a", 20), at=20)
    assert city.effects() == [("a", "opened"), ("b", "opened"), ("b", "merged")]


@pytest.mark.parametrize(
    ("steps", "impossible"),
    [([], "reopen"), (["clear"], "confirm"), (["clear"], "respond"), (["clear"], "reject"), (["reject"], "normal")],
)
def test_what_makes_no_sense_changes_nothing(steps: list[str], impossible: str) -> None:
    city = City()
    city.say(report("a", source="citizen"))
    for step in steps:
        city.act(step, 10)
    assert city.act(impossible, 20) == []
    assert city.act("clear", 20, incident_id="unknown") == []


def test_an_action_that_is_told_twice_counts_once() -> None:
    city = City()
    city.say(report("a"))
    city.act("clear", 10, action_id="1")
    city.act("reopen", 20, action_id="2")
    city.restart()
    assert city.act("clear", 30, action_id="1") == []
    assert city.incidents["a"].state == "verified"


# ---------------------------------------------------------------------- reopening


@pytest.mark.parametrize(("after", "again"), [(300, True), (301, False)])
def test_a_report_reopens_what_was_cleared_within_300_s(after: float, again: bool) -> None:
    city = City()
    city.say(report("a"))
    city.act("clear", 4000)
    city.say(report("b", 4000 + after, 100), at=4000 + after)
    assert city.effects()[1] == (("a", "reopened") if again else ("b", "opened"))
    if again:
        assert (city.incidents["a"].state, city.incidents["a"].reopened) == ("verified", 1)
        assert city.incidents["a"].cleared_at is None


def test_who_reopens_says_what_it_is_now_and_a_citizen_is_not_believed_at_once() -> None:
    city = City()
    city.say(report("a", kind="road_closure", level=5))
    city.act("clear", 100)
    city.say(report("b", 150, source="citizen", level=2), at=150)
    incident = city.incidents["a"]
    assert (incident.state, incident.closed, incident.severity_level) == ("reported", False, 2)
    city.say(report("a", 160, kind="road_closure", level=3), at=160)
    assert (city.incidents["a"].state, city.incidents["a"].closed) == ("verified", True)


def test_an_operator_reopens_within_300_s_and_not_later() -> None:
    for after, state in ((299, "verified"), (301, "normal")):
        city = City()
        city.say(report("a", kind="road_closure"))
        city.act("clear", 100)
        city.act("reopen", 100 + after)
        assert (city.incidents["a"].state, city.incidents["a"].closed) == (state, True)


# ---------------------------------------------------------------------- the emergency desk


def emergency(source_id: str, at: float = 0, **changes: Any) -> Report:
    return report(source_id, at, source="emergency", word="Accident", message_id=f"{source_id}{at}", **changes)


def test_a_resolved_emergency_that_was_never_active_is_kept_and_harms_nothing() -> None:
    city = City()
    city.say(report("a"))
    before = city.incidents["a"]
    city.say(emergency("x", 5, resolved=True))
    assert (city.incidents["a"], city.rules.open_incidents, len(city.alerts)) == (before, ["a"], 1)
    kept = city.emergencies["x"]
    assert (kept.state, kept.status, kept.incident_type, kept.reports) == ("normal", "resolved", "Accident", 1)
    assert city.reports[1].effect == "kept"
    city.say(report("c", 6, 150), at=6)
    assert city.effects()[-1] == ("a", "merged")


def test_a_late_active_of_what_is_resolved_does_not_open_it_and_a_newer_one_does() -> None:
    city = City()
    city.say(emergency("x", 100, resolved=True), at=100)
    city.say(emergency("x", 50), at=101)
    assert (city.incidents["x"].state, city.rules.open_incidents) == ("normal", [])
    city.say(emergency("x", 150), at=3000)
    assert city.effects() == [("x", "kept"), ("x", "late"), ("x", "reopened")]
    assert city.rules.open_incidents == ["x"]
    city.say(emergency("y", 160), at=3001)
    assert city.effects()[-1] == ("x", "merged")


def test_an_emergency_is_cleared_when_all_that_it_is_made_of_is_resolved() -> None:
    city = City()
    city.say(emergency("x", level=5))
    city.say(emergency("y", 10, level=3))
    city.say(report("c", 20, level=1))
    city.say(emergency("x", 30, resolved=True), at=30)
    assert (city.incidents["x"].state, city.incidents["x"].severity_level) == ("verified", 3)
    city.say(emergency("y", 5, resolved=True), at=35)
    assert city.effects()[-1] == ("x", "late")
    city.say(emergency("y", 40, resolved=True), at=40)
    assert (city.incidents["x"].state, city.incidents["x"].cleared_by) == ("cleared", "emergency")


def test_emergencies_are_those_of_the_desk_and_what_is_verified_and_critical() -> None:
    city = City()
    city.say(report("a", level=4))
    city.say(report("b", north_m=1000, level=5))
    city.say(emergency("c", north_m=2000, level=1))
    city.say(report("d", north_m=3000, level=5, source="citizen"))
    assert set(city.emergencies) == {"b", "c"}


# ---------------------------------------------------------------------- alerts


def test_alerts_follow_verified_incidents_that_are_bad() -> None:
    city = City()
    city.say(report("a", level=4, source="citizen"))
    assert city.alerts == []
    city.act("confirm", 10)
    city.say(report("b", 20, level=5), at=20)
    city.say(report("b", 30, level=5, description="more"), at=30)
    city.act("clear", 40)
    told = [(one.state, one.severity, one.revision) for one in city.alerts]
    assert told == [("opened", "CRITICAL", 0), ("updated", "EMERGENCY", 1), ("resolved", "EMERGENCY", 2)]
    assert len({one.alert_id for one in city.alerts}) == 1
    city.say(report("c", 50, level=5), at=50)
    assert city.alerts[-1].state == "opened"
    assert city.alerts[-1].alert_id != city.alerts[0].alert_id
    city.say(report("low", north_m=9000, level=3))
    assert len(city.alerts) == 4


def test_an_alert_that_is_raised_again_at_once_is_another_one() -> None:
    city = City()
    for second in range(3):
        # all of it within a millisecond of the broker
        city.say(emergency("a", 2 * second, description="on"), at=0)
        city.say(emergency("a", 2 * second + 1, resolved=True), at=0)
    steps = [(one.alert_id, one.state, one.revision) for one in city.alerts]
    assert [step[1:] for step in steps] == [("opened", 0), ("resolved", 1)] * 3
    assert len({alert_id for alert_id, _, _ in steps}) == 3


# ---------------------------------------------------------------------- expiry


def test_what_nobody_clears_is_over_after_a_while_by_its_kind() -> None:
    city = City()
    city.say(report("a"))
    city.say(report("b", north_m=1000, kind="heavy_traffic", level=2))
    city.say(report("c", north_m=2000, source="citizen"))
    ends: dict[str, int] = {}
    for minute in range(200):
        city.wait(minute * 60)
        for name, incident in city.incidents.items():
            if incident.state == "cleared":
                ends.setdefault(name, minute)
    assert ends == {"a": 120, "b": 60, "c": 30}
    assert city.incidents["a"].cleared_by == "expiry"
    assert city.incidents["a"].cleared_at == rfc3339(NOON + 7200 * SECOND)


def test_silence_is_measured_by_the_partitions_clock() -> None:
    city = City()
    city.say(report("a"))
    # an outage: hours later by the broker, and the clock stood still
    city.say(report("b", 50_000, 5000), at=50_000, clock=10)
    assert city.rules.open_incidents == ["a", "b"]


def test_an_open_incident_is_told_again_before_its_document_is_gone() -> None:
    city = City()
    city.say(emergency("a", kind="road_closure"))
    first = city.incidents["a"]
    told = [second for second in range(0, 86_000, 5) if city.wait(second)]
    assert max(b - a for a, b in pairwise(told)) <= 3605
    assert len(told) == 23
    assert city.incidents["a"] == city.emergencies["a"] == first


def test_what_is_over_is_forgotten_with_all_its_names() -> None:
    city = City()
    city.say(report("a"))
    city.say(report("b", 1))
    city.act("clear", 10)
    city.wait(310)
    city.wait(311 + 3600)
    assert city.rows == {}
    city.say(report("a", 5000), at=5000)
    assert city.effects()[-1] == ("a", "opened")


def test_there_are_never_more_than_the_setting_says() -> None:
    city = City(max_incidents=3)
    for number in range(30):
        city.say(report(f"i{number}", number, number * 1000), at=number)
    assert city.rules.open_incidents == ["i27", "i28", "i29"]
    assert city.incidents["i0"].cleared_by == "expiry"
    assert len(city.rows) == 6


# ---------------------------------------------------------------------- against the oracle


places = st.sampled_from([(LAT + north * METRE, LON + east * METRE) for north in (0, 150, 290) for east in (0, 200)])
reports = st.tuples(
    st.just("report"),
    st.sampled_from(["desk", "emergency", "citizen"]),
    st.sampled_from("abc"),
    st.sampled_from(["accident", "road_closure", "heavy_traffic", "theft"]),
    places,
    st.integers(-900, 900),
    st.sampled_from([None, 1, 3, 5]),
    st.sampled_from([False, False, True]),
)
actions = st.tuples(
    st.just("action"),
    st.sampled_from("abc"),
    st.sampled_from(["confirm", "reject", "respond", "clear", "clear", "reopen", "normal"]),
    st.sampled_from([None, None, 4]),
    st.sampled_from([None, "unit"]),
)
steps = st.lists(
    st.tuples(st.one_of(reports, reports, actions), st.sampled_from([1, 20, 240, 400, 2000, 8000]), st.booleans()),
    max_size=25,
)


def facts_of(city: City, name_of: dict[str, str]) -> dict[str, tuple[object, ...]]:
    """What the rules told last of what they still know, as the oracle says it."""
    known = {key[1:].decode() for key in city.rows if key[:1] == b"i"}
    alerts = {one.incident_id: one.state != "resolved" for one in city.alerts}
    return {
        name_of.get(name, name): (
            *(name_of.get(name, name), one.state, one.kind, one.severity_level, one.closed, one.is_emergency),
            *(one.reports, (one.latitude, one.longitude), epoch_us(one.timestamp), epoch_us(one.last_event_at)),
            *(one.cleared_by, tuple(one.units), alerts.get(name, False)),
        )
        for name, one in city.incidents.items()
        if name in known
    }


@settings(max_examples=100, deadline=None)
@given(steps)
def test_whatever_is_said_comes_to_what_the_oracle_finds(said: list[Any]) -> None:
    city, undisturbed, oracle = City(), City(), Oracle()
    now = 0
    for step, later, restart in said:
        now += later
        if step[0] == "report":
            _, source, own_id, kind, place, time, level, over = step
            over = over and source == "emergency"
            own_id = f"c{now}" if source == "citizen" else own_id
            one = report(own_id, now + time, source=source, kind=kind, word=kind, level=level, resolved=over)
            one = msgspec.structs.replace(one, lat=place[0], lon=place[1])
            at = NOON + now * SECOND
            oracle.report(source, own_id, ToldToOracle(kind, place, one.time_us, level), over, at, at)
            assert city.say(one, now) == undisturbed.say(one, now)
        else:
            _, name, action, level, unit = step
            oracle.act(name, action, level, unit, NOON + now * SECOND, NOON + now * SECOND)
            changes = {"level": level, "unit_id": unit}
            assert city.act(action, now, name, **changes) == undisturbed.act(action, now, name, **changes)
        if restart:
            city.restart()
        others = {
            one.incident_id: f"other than {one.source_id}"
            for one in reversed(city.reports)
            if len(one.incident_id) > 30
        }
        expected = oracle.facts()
        found = facts_of(city, others)
        # several others of one name have one name here
        if len(expected) == len(oracle.cases):
            assert found == expected
    assert [effect for _, effect in city.effects()] == [effect for _, effect in oracle.effects]
