from __future__ import annotations

import pytest
from msgspec.structs import replace

from models.alerts import AlertEvent
from models.timestamps import epoch_us
from tests.stores.alerts.alert_messages import NOON, after_noon, alert_event
from trafficapp.alarms.alarm import Alarm
from trafficapp.alarms.withholding import Fold, Outage, ShelvedAlarms, Withholding, cleared_us


def shelf(**fields: object) -> ShelvedAlarms:
    known = {
        "shelf_id": 7,
        "kind": "timed",
        "alert_id": None,
        "rule": "congestion",
        "source_kind": "camera",
        "sources": frozenset({"camera-1"}),
        "reason": "road works",
        "from_us": 100,
        "to_us": 200,
        "expires_us": 200,
        **fields,
    }
    return ShelvedAlarms(**known)  # type: ignore[arg-type]


def how(withholding: Withholding, *alarm: object) -> str | None:
    found = withholding.of(*alarm)  # type: ignore[arg-type]
    return None if found is None else found.how


@pytest.mark.parametrize(("at_us", "expected"), [(99, None), (100, "shelved"), (199, "shelved"), (200, None)])
def test_a_shelf_is_in_force_from_its_begin_to_before_its_end(at_us: int, expected: str | None) -> None:
    assert how(Withholding([shelf()]), "alert", "a", "congestion", "camera-1", at_us) == expected


def test_a_shelf_names_a_rule_and_a_source_of_a_kind() -> None:
    withholding = Withholding(
        [shelf(), shelf(source_kind="road", rule="severe_traffic", sources=frozenset({"road-1"}))]
    )

    assert how(withholding, "alert", "a", "stopped_traffic", "camera-1", 150) is None
    assert how(withholding, "alert", "a", "congestion", "camera-2", 150) is None
    assert how(withholding, "notification", "a", "congestion", "camera-1", 150) is None
    assert how(withholding, "notification", "a", "severe_traffic", "road-1", 150) == "shelved"


def test_a_shelf_of_one_alert_is_of_no_other() -> None:
    withholding = Withholding([shelf(alert_id="a", rule=None, source_kind=None, sources=frozenset())])

    assert how(withholding, "alert", "a", "congestion", "camera-1", 150) == "shelved"
    assert how(withholding, "alert", "b", "congestion", "camera-1", 150) is None


def test_figures_of_a_camera_that_is_out_of_order_are_suppressed_behind_its_window() -> None:
    withholding = Withholding(outages=[Outage("camera-1", "outage", "camera-1: chatter", 100, None)])

    assert how(withholding, "alert", "a", "congestion", "camera-1", 100) is None
    assert how(withholding, "alert", "a", "congestion", "camera-1", 101) == "suppressed"
    # what people and silence tell does not follow from its figures
    assert how(withholding, "alert", "a", "manual", "camera-1", 101) is None
    assert how(withholding, "alert", "a", "camera_silent", "camera-1", 101) is None
    assert how(withholding, "alert", "a", "congestion", "camera-2", 101) is None


def test_of_several_reasons_a_person_counts_first() -> None:
    outage, fold = Outage("camera-1", "outage", "", 0, None), Fold("camera-1", "event", "Via Roma", 0, 300)

    assert how(Withholding([shelf()], [outage], [fold]), "alert", "a", "congestion", "camera-1", 150) == "shelved"
    assert how(Withholding([], [outage], [fold]), "alert", "a", "congestion", "camera-1", 150) == "suppressed"
    assert how(Withholding([], [], [fold]), "alert", "a", "congestion", "camera-1", 150) == "folded"
    assert how(Withholding([], [], [fold]), "alert", "a", "congestion", "camera-1", 300) is None


def raised(at_us: int, cleared: int | None, alarm_id: str = "a", **fields: object) -> Alarm:
    return Alarm("alert", alarm_id, "congestion", "camera-1", "WARNING", at_us, cleared, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("alarms", "expected"),
    [
        ([], None),
        # over before
        ([raised(10, 50)], None),
        # stands when it is shelved: it is for that one
        ([raised(10, 150, "a"), raised(160, 170, "b")], 150),
        ([raised(10, None, "a"), raised(160, 170, "b")], None),
        # else for the next one
        ([raised(10, 50, "a"), raised(160, 170, "b"), raised(180, 190, "c")], 170),
        # told once: over when it was told
        ([raised(120, None, stands=False)], 121),
        ([raised(10, None, stands=False)], None),
        # after its time
        ([raised(200, 210)], None),
    ],
)
def test_a_one_shot_shelf_ends_with_the_alarm_that_it_is_for(alarms: list[Alarm], expected: int | None) -> None:
    assert cleared_us(shelf(kind="one_shot"), alarms) == expected


def test_a_one_shot_shelf_covers_the_message_that_ends_it() -> None:
    one = shelf(kind="one_shot", to_us=121)

    assert how(Withholding([one]), "alert", "a", "congestion", "camera-1", 120) == "shelved"


def test_an_alert_is_held_until_it_is_an_alarm_and_short_if_it_never_was() -> None:
    held = alert_event(alarm_at=None)
    short = replace(held, action="resolved", resolved_at=after_noon(30))
    shelves = Withholding([shelf(sources=frozenset({held.camera_id}), from_us=0, to_us=2**62)])

    def how_of(known: Withholding, alert: AlertEvent) -> str | None:
        found = known.of_alert(alert, epoch_us(NOON))
        return None if found is None else found.how

    assert [how_of(Withholding(), one) for one in (held, short, alert_event())] == ["held", "short", None]
    # what people shelved is shelved, alarm or not; what was none is short whatever was shelved
    assert [how_of(shelves, one) for one in (held, short, alert_event())] == ["shelved", "short", "shelved"]


def test_alarms_keep_that_they_were_short_and_are_held_unless_something_else_withholds_them() -> None:
    alarms = [
        Alarm("alert", str(number), "congestion", f"camera-{number % 2}", "WARNING", 150, withheld=withheld)
        for number, withheld in enumerate(("short", "short", "held", "held"))
    ]

    assert [one.withheld for one in Withholding([shelf()]).marked(alarms)] == ["short", "short", "held", "shelved"]


def test_an_alert_that_was_too_short_ends_no_shelf_for_one_time() -> None:
    one_shot = shelf(kind="one_shot")
    short = Alarm("alert", "a", "congestion", "camera-1", "WARNING", 110, 120, withheld="short")
    alarm = Alarm("alert", "b", "congestion", "camera-1", "WARNING", 130, 140)

    assert cleared_us(one_shot, [short]) is None
    assert cleared_us(one_shot, [short, alarm]) == 140
    assert cleared_us(shelf(kind="one_shot", alert_id="a"), [short]) == 120
