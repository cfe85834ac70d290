"""Dead letters, held against the messages that were refused."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.verification.compare import Comparison
from tests.verification.log import LogRecord
from tests.verification.truth import Place
from trafficapp.topics import EVENTS_RAW

#: A value of so many bytes is kept whole; of a larger one this is kept.
WHOLE_BYTES, BEGINNING_BYTES = 1 << 20, 64 << 10

#: What is kept of a key.
KEY_BYTES = 1 << 10


def compare_dead_letters(
    refused: Mapping[Place, Mapping[str, int]],
    log: Iterable[LogRecord],
    letters: Iterable[LogRecord],
    topic: str = EVENTS_RAW,
) -> Comparison:
    """Compare dead letters with the refused messages of a topic: one for each, and all that it says.

    Args:
        refused: for each message how many detections are refused for which reason, the letter's own first.
        log: the topic.
        letters: the topic of dead letters; one that was sent again after a crash must be the same, byte for byte.
        topic: the name of the first one.
    """
    result = Comparison("dead letters")
    raw = {(record.partition, record.offset): record for record in log}
    found: dict[Place, dict[str, Any]] = {}
    bytes_: dict[Place, bytes | None] = {}
    for letter in letters:
        fields = json.loads(letter.value or b"")
        if fields["topic"] != topic:
            continue
        place = fields["partition"], fields["offset"]
        if bytes_.setdefault(place, letter.value) != letter.value:
            result.different += 1
            result.example(f"sent again as another one {place}: {_short(found[place])} and {_short(fields)}")
        found[place] = fields
    for place, reasons in refused.items():
        if place not in found:
            result.missing += 1
            result.example(f"missing {place}: {dict(reasons)}")
            continue
        result.compared += 1
        if faults := letter_faults(found[place], reasons, raw[place]):
            result.different += 1
            result.example(f"different {place}: {', '.join(faults)}")
    for place in found.keys() - refused.keys():
        result.extra += 1
        result.example(f"extra {place}: {_short(found[place])}")
    return result


def letter_faults(fields: Mapping[str, Any], reasons: Mapping[str, int], record: LogRecord) -> list[str]:
    """Name what a letter does not say as it must, with both values."""
    key, value = record.key, record.value
    right: dict[str, object] = {
        "reason": next(iter(reasons)),
        "reasons": dict(reasons) if len(reasons) > 1 else None,
        "events": sum(reasons.values()),
        "key_bytes": None if key is None else len(key),
        "value_bytes": None if value is None else len(value),
        "value_sha256": None if value is None else hashlib.sha256(value).hexdigest(),
    }
    faults = [
        f"{name} {fields.get(name)} instead of {expected}"
        for name, expected in right.items()
        if fields.get(name) != expected
    ]
    kept = value if value is None or len(value) <= WHOLE_BYTES else value[:BEGINNING_BYTES]
    for name, expected_bytes in (("key_base64", None if key is None else key[:KEY_BYTES]), ("value_base64", kept)):
        if _decoded(fields.get(name)) != expected_bytes:
            faults.append(f"{name} is not what was sent")
    return faults


def _short(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value)[:200] for name, value in fields.items()}


def _decoded(text: object) -> bytes | None:
    return base64.b64decode(text) if isinstance(text, str) else None
