"""What must hold whatever windows come, in whatever runs, however often they are sent again."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from models.alerts import AlertEvent, encode_alert_event
from models.cameras.window_rows import WindowRow
from tests.alerts.windows import fresh, records, spelled, standing, steps, window
from trafficapp.alerts.rules import SEVERITY_RANK
from trafficapp.engine.state_rows import offset_of

SHORT = {"stopped_windows": 2, "resolve_windows": 2, "forget_seconds": 20.0}
PATIENT = settings(deadline=None)

a_window = st.tuples(st.sampled_from("LLMHS?"), st.booleans(), st.sampled_from([1, 1, 1, 2, 7]))


@st.composite
def histories(draw: st.DrawFn) -> list[WindowRow]:
    """Windows of two cameras in the order of time, with gaps."""
    rows, number = list[WindowRow](), 0
    for level, stands, gap in draw(st.lists(a_window, max_size=40)):
        number += gap
        rows.append(standing(number, level) if stands and level != "?" else window(number, level))
        if draw(st.booleans()):
            rows.append(window(number, draw(st.sampled_from("LHS")), camera_id="other"))
    return rows


@st.composite
def with_repeats(draw: st.DrawFn) -> tuple[list[WindowRow], list[WindowRow]]:
    """A history, and the same as a worker leaves it that crashed and sent windows again."""
    rows = draw(histories())
    sent = list[WindowRow]()
    for position, row in enumerate(rows, 1):
        sent.append(row)
        back = draw(st.sampled_from([0, 0, 0, 0, 1, 3, 10]))
        sent += rows[max(position - back, 0) : position] if back else []
    return rows, sent


@given(histories())
@PATIENT
def test_at_most_one_alert_a_cause_and_camera_is_open_and_it_goes_one_way(rows: list[WindowRow]) -> None:
    open_: dict[tuple[str, str | None], AlertEvent] = {}
    ids = set[str]()
    for step in steps(rows, **SHORT):
        place = (step.alert_type, step.camera_id)
        before = open_.pop(place, None)
        if step.action == "opened":
            assert before is None
            assert step.revision == 1
            assert step.id not in ids
            ids.add(step.id)
        else:
            assert before is not None
            assert (step.id, step.revision) == (before.id, before.revision + 1)
            assert SEVERITY_RANK[step.severity] >= SEVERITY_RANK[before.severity]
            assert (step.since, step.triggered_at) == (before.since, before.triggered_at)
            if step.action == "updated":
                assert (step.severity, step.congestion_level) != (before.severity, before.congestion_level)
        assert (step.resolved_at is not None) == (step.action == "resolved")
        assert step.since < step.triggered_at <= step.updated_at
        if step.action != "resolved":
            open_[place] = step


@given(st.sampled_from("LMHS"), st.sampled_from("LMHS"), st.integers(1, 100))
def test_levels_that_alternate_raise_one_alert_at_most(one: str, other: str, times: int) -> None:
    assert sum(step.action == "opened" for step in steps(spelled((one + other) * times))) <= 1


@given(with_repeats(), st.lists(st.integers(1, 9), max_size=40), st.booleans())
@PATIENT
def test_neither_repeats_nor_runs_nor_takeovers_change_anything(
    histories_: tuple[list[WindowRow], list[WindowRow]], lengths: list[int], takes_over: bool
) -> None:
    rows, sent = histories_
    right = list(map(encode_alert_event, steps(rows, **SHORT)))
    log, alerts, found, position = records(sent), fresh(**SHORT), list[bytes](), 0
    for length in [*lengths, len(log)]:
        found += map(encode_alert_event, alerts.apply(log[position : position + length]))
        position += length
        if takes_over:
            alerts = fresh(dict(alerts.all_rows()), **SHORT)
    assert found == right


@given(histories(), st.lists(st.integers(1, 9), min_size=1, max_size=12), st.data())
@PATIENT
def test_any_prefix_of_the_changelog_leads_to_the_same_steps(
    rows: list[WindowRow], lengths: list[int], data: st.DataObject
) -> None:
    log = records(rows)
    right = list(map(encode_alert_event, steps(rows, **SHORT)))
    owner, changelog, sent, sent_before, position = fresh(**SHORT), list[tuple[bytes, bytes]](), list[bytes](), [0], 0
    for length in lengths:
        sent += map(encode_alert_event, owner.apply(log[position : position + length]))
        position += length
        for entry in owner.changed_rows():
            changelog.append(entry)
            sent_before.append(len(sent))
    survived = data.draw(st.integers(0, len(changelog)))
    merged: dict[bytes, bytes] = {}
    for key, row in changelog[:survived]:
        if key not in merged or offset_of(row) > offset_of(merged[key]):
            merged[key] = row
    successor = fresh(merged, **SHORT)
    found = list(map(encode_alert_event, successor.apply(log[successor.applied + 1 :])))
    assert set(sent[: sent_before[survived]]) | set(found) == set(right)
    assert fresh(dict(successor.all_rows()), **SHORT).cameras == successor.cameras
