"""Dead letters: one for each message, of bounded size."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from models.cameras.detections import MAX_FRAME_DETECTIONS, MAX_MESSAGE_BYTES
from models.dead_letters import BEGINNING_BYTES, WHOLE_VALUE_BYTES, decode_dead_letter, encode_dead_letter
from tests.windows.entries import T0_US, PlainRecord, fresh
from trafficapp.topics import MAX_RECORD_BYTES
from trafficapp.windows.outcome import Outcome

T0_MS = T0_US // 1000
PART: dict[str, Any] = {"class": "car", "confidence": 0.9, "bbox": {"x": 1, "y": 2, "w": 3, "h": 4}}


def frame(*parts: Any, second: float = 0, number: int = 1, **more: Any) -> bytes:
    head = {"camera_id": "a", "timestamp": T0_MS + round(second * 1000), "frame_id": number}
    return json.dumps({**head, **more, "detections": list(parts)}).encode()


def car(name: str, **changes: Any) -> dict[str, Any]:
    return {"vehicle_id": name, **PART, **changes}


def applied(*values: bytes | None, key: bytes | None = b"a") -> Outcome:
    return fresh().apply([PlainRecord(offset, T0_MS, key, value) for offset, value in enumerate(values)])


def test_a_message_has_one_letter_whatever_is_wrong_with_its_parts() -> None:
    clock = [frame(car("v1"), second=second, number=number) for number, second in enumerate((0, 1, 7, 8))]
    parts = [car("v2", **{"class": "ufo"}), car("v3", confidence=7), 5, car("v4", speed_estimate=999), car("v5")]
    outcome = applied(*clock, frame(*parts, number=9))
    (letter,) = outcome.dead_letters
    assert (letter.offset, letter.reason, letter.events) == (4, "unknown_class", 5)
    assert (
        letter.reasons == {"unknown_class": 1, "invalid_field": 2, "impossible_speed": 1, "late": 1} == outcome.rejected
    )
    assert letter.detail.startswith("detections[0]: class 'ufo'")
    assert letter.detail.endswith("is final")


def test_a_letter_for_one_reason_lists_none() -> None:
    (letter,) = applied(frame(car("v1", **{"class": "ufo"}), car("v2", **{"class": "ufo"}))).dead_letters
    assert (letter.reason, letter.events, letter.reasons) == ("unknown_class", 2, None)


def test_what_the_whole_message_is_refused_for_comes_behind_its_parts() -> None:
    value = frame(car("v1", **{"class": "ufo"}), car("v2"))
    (letter,) = applied(value, key=b"b").dead_letters
    assert (letter.reason, letter.reasons) == ("unknown_class", {"unknown_class": 1, "key_mismatch": 1})


@pytest.mark.parametrize("value", [b"", b"x", b"\xff" * 5000, b"y" * WHOLE_VALUE_BYTES])
def test_a_value_of_usual_size_is_kept_whole(value: bytes) -> None:
    (letter,) = applied(value).dead_letters
    assert (letter.value, letter.value_bytes, letter.is_whole) == (value, len(value), True)
    assert letter.value_sha256 == hashlib.sha256(value).hexdigest()


@pytest.mark.parametrize("size", [WHOLE_VALUE_BYTES + 1, 7_000_000, 20_000_000])
def test_of_a_large_one_the_beginning_its_length_and_its_hash_are_kept(size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    (letter,) = applied(value).dead_letters
    assert (letter.value, letter.value_bytes, letter.is_whole) == (value[:BEGINNING_BYTES], size, False)
    assert letter.value_sha256 == hashlib.sha256(value).hexdigest()
    assert decode_dead_letter(encode_dead_letter(letter)) == letter


def test_a_letter_without_key_and_value_says_so() -> None:
    (letter,) = applied(None, key=None).dead_letters
    assert (letter.key, letter.value, letter.key_bytes, letter.value_bytes, letter.value_sha256) == (None,) * 5


def test_the_largest_letter_fits_into_a_record_however_large_key_and_details_are() -> None:
    parts = [car(f"v{number}", **{"class": "\x00" * 900}) for number in range(1000)]
    value = frame(*parts)[:-1]
    outcome = applied(frame(*parts), value + b" " * (WHOLE_VALUE_BYTES - len(value)), key=b"k" * 900_000)
    assert len(outcome.dead_letters) == 2
    for letter in outcome.dead_letters:
        assert letter.key_bytes == 900_000
        assert len(encode_dead_letter(letter)) + len(letter.key or b"") < 1_500_000 < MAX_RECORD_BYTES


def test_a_message_may_be_large_but_not_as_large_as_one_likes() -> None:
    room = MAX_MESSAGE_BYTES - len(frame(car("v1"), padding=""))
    fits, too_large = frame(car("v1"), padding="p" * room), frame(car("v2"), padding="p" * (room + 1))
    assert len(fits) == MAX_MESSAGE_BYTES
    outcome = applied(fits, too_large)
    assert (outcome.counted, outcome.rejected) == (1, {"too_large": 1})
    flat = json.dumps({"camera_id": "a", "timestamp": T0_MS, "frame_id": 2, **car("v3"), "padding": "p" * 2_000_000})
    assert applied(flat.encode()).rejected == {"too_large": 1}


def test_a_frame_may_hold_many_detections_but_not_as_many_as_one_likes() -> None:
    parts = [car(f"v{number}") for number in range(MAX_FRAME_DETECTIONS + 1)]
    outcome = applied(frame(*parts[1:]), frame(*parts, number=2))
    assert (outcome.counted, outcome.rejected) == (MAX_FRAME_DETECTIONS, {"too_large": MAX_FRAME_DETECTIONS + 1})
    assert applied(frame(*[0] * (MAX_FRAME_DETECTIONS + 1))).rejected == {"too_large": MAX_FRAME_DETECTIONS + 1}


def test_what_was_refused_of_a_frame_is_counted_by_whoever_goes_on_when_its_camera_s_row_is_ahead() -> None:
    log = [PlainRecord(0, T0_MS, b"a", frame(car("v1"), car("v2", **{"class": "ufo"})))]
    before = fresh()
    before.apply(log)
    rows = dict(before.all_rows())
    successor = fresh({b"a": rows[b"a"]})
    # its letter was sent before its row was written
    assert successor.apply(log).dead_letters == []
    assert successor.state == before.state
    assert successor.state.rejected == {"unknown_class": 1}
