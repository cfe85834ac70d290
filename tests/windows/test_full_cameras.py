"""Cameras of which too much is held, and partitions with too many of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from models.cameras.detections import MAX_FRAME_DETECTIONS, MAX_MESSAGE_BYTES
from tests.windows.entries import SECOND_US, T0_US, Entry, Limits, Picture, Seen, Tick, Unreadable, fresh, records
from tests.windows.logs import TOO_LONG, silence
from tests.windows.oracle import Refusal, refusal_of
from tests.windows.streams import in_order, shot
from tests.windows.test_against_oracle import PATIENT, assert_is_the_oracles, one_by_one
from trafficapp.windows import windower

T0_MS = T0_US // 1000
SMALL_BYTES = 2500


@contextmanager
def little_may_be_held() -> Iterator[None]:
    """Let cameras be full soon: the real limit takes a hundred thousand detections."""
    with patch.object(windower, "MAX_CAMERA_BYTES", SMALL_BYTES):
        yield


@st.composite
def crowds(draw: st.DrawFn) -> list[Entry]:
    """Many vehicles with long names, a message each, at times that rarely go on."""
    log, now_ms = list[Entry](), T0_MS
    for number in range(draw(st.integers(20, 60))):
        now_ms += draw(st.sampled_from([0, 0, 0, 100, 100, 2500, 6000, 12_000]))
        time_ms = now_ms + draw(st.sampled_from([0, 0, 0, -1500, -9000, 13_000, 40_000]))
        vehicle = draw(st.sampled_from(["v", f"vehicle-{number}-{'x' * 150}", f"vehicle-{number}-{'x' * 150}"]))
        camera_id = draw(st.sampled_from(["a", "a", "a", "b"]))
        seen = (Seen(vehicle, "car", 30.0, draw(st.sampled_from([None, 0, 1]))),)
        picture = Picture(camera_id, time_ms * 1000, number, seen, "nested", camera_id.encode(), now_ms)
        log += [picture] * draw(st.sampled_from([1, 1, 1, 2]))
    return [Tick(T0_MS), *log, *silence(now_ms, 75)]


@given(crowds())
@settings(PATIENT, max_examples=60)
def test_a_full_camera_refuses_what_is_new_and_its_time_goes_on(log: list[Entry]) -> None:
    with little_may_be_held():
        assert_is_the_oracles(log)


def test_a_camera_is_full_when_its_row_would_be_too_long_and_never_long_before() -> None:
    windows = fresh()
    crowd = [replace(shot(number / 100, 0), frame_id=number) for number in range(150)]
    with little_may_be_held():
        for record in records(crowd):
            outcome = windows.apply([record])
            ((_, row),) = [one for one in windows.all_rows() if one[0] == b"a"]
            # what came last may go a little beyond
            assert len(row) <= SMALL_BYTES + 100
            # counted is what each part can take at most
            assert not outcome.rejected or len(row) > SMALL_BYTES // 4
    assert outcome.rejected == {"camera_full": 1}


def test_late_and_repeated_come_before_full() -> None:
    crowd: list[Entry] = [replace(shot(20 + number / 100, 20), frame_id=number) for number in range(150)]
    full = replace(shot(21.51, 20), frame_id=999)
    late, repeated = shot(1, 20), crowd[0]
    with little_may_be_held():
        applied = one_by_one([*crowd, full, late, repeated, shot(27, 27), shot(27.1, 27)])
        reasons = {letter.offset: letter.reason for letter in applied.letters}
        assert (reasons[150], reasons[151], reasons.get(152)) == ("camera_full", "late", None)
        # the time of the next one makes the windows of before final: then there is room again
        assert max(reasons) == 153


def test_places_are_dropped_before_a_detection_is_refused() -> None:
    windows = fresh()
    most, refused = 0, 0
    with little_may_be_held():
        for number in range(60):
            seen = (Seen(f"vehicle-{number}", x=float(number)),)
            # the first one waits; what it says of places counts once the second one came
            picture = Picture("a", T0_US + number, number, seen, "nested", b"a", T0_MS)
            outcome = windows.apply(records([picture] * (number + 1))[-1:])
            places = len(windows.cameras.states[b"a"].sightings)
            most, refused = max(most, places), refused + outcome.rejected.get("camera_full", 0)
            assert not (outcome.rejected and places)
    assert most > 1
    assert refused > 1


def test_only_so_many_cameras_are_known_and_a_forgotten_one_makes_room() -> None:
    limits = Limits(max_cameras=2, made_up_us=50 * SECOND_US)
    strangers: list[Entry] = [shot(0, camera_id=name) for name in ("a", "b", "c")]
    refused = one_by_one(strangers, limits)
    assert [refusal_of(letter) for letter in refused.letters] == [Refusal(2, {"too_many_cameras": 1})]
    # whoever is known goes on; b is forgotten with the second minute
    log = [Tick(T0_MS), *strangers, *silence(T0_MS, 58), shot(58, camera_id="a"), *silence(T0_MS + 58_000, 60)]
    log += [shot(119, camera_id="c", cars=3), shot(119, camera_id="b", cars=2), shot(120, camera_id="a")]
    applied = one_by_one(log, limits)
    assert [(letter.reason, letter.events) for letter in applied.letters] == [
        ("too_many_cameras", 1),
        ("too_many_cameras", 2),
    ]
    assert_is_the_oracles(log, limits)


def test_what_leaves_no_trace_makes_no_camera_known() -> None:
    limits = Limits(max_cameras=1)
    traceless: list[Entry] = [
        shot(3600, 0, camera_id="b"),
        Picture("c", T0_US, 0, (), "frame", b"c", T0_MS, faulty=("unknown_class",)),
        Picture("d", T0_US, 0, (Seen("v"),), "nested", b"c", T0_MS),
        shot(3600, 0, camera_id="e", cars=0),
    ]
    log = [*traceless, shot(0, camera_id="a"), *traceless, shot(1, camera_id="f"), shot(2, camera_id="a")]
    applied = one_by_one(log, limits)
    own = [letter.reason for letter in applied.letters[: len(traceless)]]
    assert own == ["future", "unknown_class", "key_mismatch", "future"]
    assert [letter.reason for letter in applied.letters[len(traceless) :]] == [*own, "too_many_cameras"]
    assert applied.counted == 2
    assert_is_the_oracles(log, limits)


def test_what_is_too_large_is_refused_whatever_else_is_wrong_with_it() -> None:
    value, reason, events = TOO_LONG
    assert value is not None
    just_right = b'{"x": "' + b"x" * (MAX_MESSAGE_BYTES - 9) + b'"}'
    assert (len(value) > MAX_MESSAGE_BYTES, len(just_right)) == (True, MAX_MESSAGE_BYTES)
    parts = (
        b'{"camera_id": "a", "timestamp": 1700000000, "frame_id": 1, "detections": ['
        + b"0," * (MAX_FRAME_DETECTIONS - 1)
        + b"0]}"
    )
    log: list[Entry] = [
        Unreadable(value, reason, b"a", T0_MS, events),
        Unreadable(just_right, "missing_field", b"a", T0_MS),
        Unreadable(parts, "invalid_field", b"a", T0_MS, MAX_FRAME_DETECTIONS),
        Unreadable(parts.replace(b"0]", b"0,0]"), "too_large", b"other", T0_MS, MAX_FRAME_DETECTIONS + 1),
        shot(0, cars=MAX_FRAME_DETECTIONS),
        shot(0.1, cars=MAX_FRAME_DETECTIONS + 1),
    ]
    applied = one_by_one(log)
    assert applied.counted == MAX_FRAME_DETECTIONS
    letters = [(letter.reason, letter.events) for letter in applied.letters]
    right = [(entry.reason, entry.events) for entry in log if isinstance(entry, Unreadable)]
    assert letters == [*right, ("too_large", MAX_FRAME_DETECTIONS + 1)]


def test_a_full_camera_and_a_known_one_are_told_apart_in_a_log() -> None:
    with little_may_be_held():
        assert_is_the_oracles(in_order(*[shot(second / 10) for second in range(80)]))
