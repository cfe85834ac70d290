"""Alerts behind real windows: cameras fall quiet, upload what they kept, are forgotten, and come back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import given, note, settings
from hypothesis import strategies as st

from models.alerts import encode_alert_event
from models.cameras.quiet_cameras import QuietCamera
from tests.alerts.test_any_order_of_runs import PATIENT
from tests.alerts.test_any_worker import told_by
from tests.alerts.windows import PlainRecord, end_us, record
from tests.windows.entries import RULES, SECOND_US, T0_US, Entry, Picture, Seen, Tick, records
from tests.windows.whole import WholeWindows
from trafficapp.alerts.camera import Absence
from trafficapp.alerts.partition import PartitionAlerts
from trafficapp.alerts.rules import causes_of
from trafficapp.settings import AlertSettings, Settings
from trafficapp.windows.cameras import Remembering
from trafficapp.windows.rules import windower_rules

WINDOW_US = 5 * SECOND_US
FORGET_US = 20 * SECOND_US
SMALL = {"max_count": 2, "max_speed_kmh": 30.0}
REMEMBERING = Remembering(made_up_us=300 * SECOND_US, forget_us=3600 * SECOND_US)
#: A camera is forgotten so long after its newest record, and its last window is written up to 70 s later.
ABSENCE = Absence(REMEMBERING.lasting_windows, 230 * SECOND_US, 3530 * SECOND_US)

WINDOWS = replace(
    RULES,
    windower_for=windower_rules(Settings(cameras={"a": SMALL, "b": SMALL})),
    quiet_us=FORGET_US + 60 * SECOND_US,
    remembering=REMEMBERING,
)
CAUSES = causes_of(AlertSettings(stopped_windows=2, resolve_windows=2, update_seconds=5), 0)

#: How many vehicles, and how fast, in a window of each level.
TRAFFIC = {"L": (1, 30.0), "H": (2, 15.0), "S": (2, 1.0)}


def alerts() -> PartitionAlerts:
    return PartitionAlerts(0, CAUSES, 30 * SECOND_US, FORGET_US, {}, absence=ABSENCE)


@dataclass
class Road:
    """What producers and the ticks leave in the log; events are a day older than their records."""

    now_ms: int = (T0_US + 86_400 * SECOND_US) // 1000
    entries: list[Entry] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)

    def see(self, camera_id: str, blanks: int, levels: str) -> None:
        """A camera sends the pictures of windows in a row, two of each, as fast as it can."""
        number = self.numbers.get(camera_id, -1) + blanks
        for level in levels:
            number += 1
            count, speed_kmh = TRAFFIC[level]
            cars = tuple(Seen(f"v{car}", speed_kmh=speed_kmh) for car in range(count))
            for picture, second in enumerate((1.0, 3.5)):
                time_us = T0_US + number * WINDOW_US + round(second * SECOND_US)
                frame = number * 2 + picture
                self.entries.append(Picture(camera_id, time_us, frame, cars, "frame", camera_id.encode(), self.now_ms))
            self.now_ms += 10
        self.numbers[camera_id] = number

    def wait(self, ticks: int) -> None:
        """Nobody sends anything."""
        for _ in range(ticks):
            self.now_ms += 2000
            self.entries.append(Tick(self.now_ms))


seen = st.tuples(
    st.sampled_from("aab"),
    st.sampled_from([0, 0, 0, 1, 3, 4, 5, 60]),
    st.one_of(st.text("LHS", min_size=1, max_size=4), st.just("L" * 12 + "S")),
)
waited = st.sampled_from([3, 20, 50, 50, 200])


@given(st.lists(st.one_of(seen, waited), max_size=12))
@settings(PATIENT, max_examples=150)
def test_whoever_hears_when_a_camera_is_quiet_tells_the_same(plan: list[tuple[str, int, str] | int]) -> None:
    road = Road()
    road.wait(1)
    for what in plan:
        if isinstance(what, int):
            road.wait(what)
        else:
            road.see(*what)
    road.wait(60)
    note(f"{plan=}")
    windows, deaf, hearing = WholeWindows(0, WINDOWS, {}), alerts(), alerts()
    told, early, steps, offset = dict[tuple[str, int], bytes](), dict[tuple[str, int], bytes](), [], 0
    owed: dict[str, QuietCamera] = {}
    for entry in records(road.entries):
        outcome = windows.apply([entry])
        finished: list[PlainRecord] = []
        for position, row in enumerate(outcome.rows):
            after_quiet = outcome.after_quiet.get(position)
            if after_quiet is not None:
                assert owed[row.camera_id].newest_window_end_us == after_quiet
            header = None if after_quiet is None else b"%d" % after_quiet
            finished.append(record(row, offset, header, entry.timestamp * 1000))
            offset += 1
        found = deaf.apply(finished)
        assert hearing.apply(finished) == found
        for step in found:
            key, value = (step.id, step.revision), encode_alert_event(step)
            assert told.setdefault(key, value) == value
        steps += found
        hearing.hear(outcome.quiet)
        early |= told_by(hearing.early_ends())
        for one in outcome.quiet:
            owed[one.camera_id] = one
            # what was told speaks of the newest window, so what was open is over
            assert hearing.cameras[one.camera_id.encode()].seen_end_us == one.newest_window_end_us
    for key, value in early.items():
        assert told.setdefault(key, value) == value
    over: dict[tuple[str, str | None], str] = {}
    for step in steps:
        if step.action == "opened":
            assert over.get((step.alert_type, step.camera_id), "") <= step.triggered_at
        if step.resolved_at is not None:
            over[step.alert_type, step.camera_id] = step.resolved_at


def test_an_alert_of_a_camera_that_was_quiet_is_over_and_its_backlog_begins_another() -> None:
    road = Road()
    road.wait(1)
    road.see("a", 0, "LLLLLLLLLLLLS")
    road.wait(50)
    road.see("a", 0, "SSSSSS")
    road.wait(10)
    windows, after = WholeWindows(0, WINDOWS, {}), alerts()
    outcome = windows.apply(records(road.entries))
    assert list(outcome.after_quiet.values()) == [end_us(12)]
    log = [
        record(row, offset, b"%d" % outcome.after_quiet[offset] if offset in outcome.after_quiet else None)
        for offset, row in enumerate(outcome.rows)
    ]
    congestion = [step for step in after.apply(log) if step.alert_type == "congestion"]
    assert [(step.action, step.revision) for step in congestion] == [("opened", 1), ("resolved", 2), ("opened", 1)]
    assert congestion[0].triggered_at < (congestion[1].resolved_at or "") < congestion[2].triggered_at
