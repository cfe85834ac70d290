"""Records that say they are the workers' own, in a topic to which others write."""

from __future__ import annotations

import pytest

from models.cameras.detections import TICK_HEADER
from models.control_records import keys_of, signature
from tests.windows.entries import PlainRecord
from trafficapp.settings import load_settings
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.acceptance import Refused
from trafficapp.windows.rules import acceptance_of

CHANGE = b'{"thresholds":{"version":1,"effective_from_us":1,"moderate":0.1,"high":0.2,"severe":0.3}}'


def is_taken(keys: str, value: bytes, header: bytes) -> bool:
    reader = acceptance_of(load_settings(kafka={"control_keys": keys})).reader()
    (found,) = reader.read([PlainRecord(5, 1_000, None, value, [(TICK_HEADER, header)])])
    if isinstance(found, Refused):
        assert [part.reason for part in found.parts] == ["unsigned"]
    return not isinstance(found, Refused)


@pytest.mark.parametrize("value", [b"", CHANGE])
def test_only_a_key_of_ours_makes_a_record_ours(value: bytes) -> None:
    signed = signature(keys_of("first"), EVENTS_RAW, value)
    assert is_taken("first", value, signed)
    # a key that is on its way out is accepted still
    assert is_taken("second, first", value, signed)
    assert not is_taken("second", value, signed)
    assert not is_taken("first", value, b"")
    assert not is_taken("first", value + b" ", signed)
    assert not is_taken("first", value, signature(keys_of("first"), "another-topic", value))
    # without keys whoever may write is trusted
    assert is_taken("", value, b"")
