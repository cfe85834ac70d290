"""Dead letters without ids of vehicles, where these are hashed.

Of a message that can be read as JSON stay the fields that messages of its kind have, ids hashed like elsewhere. Of one
that cannot, nothing stays but why it was refused and how long it was: who could say what in it is an id.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import structs

from models.cameras.detections import event_time_us
from models.dead_letters import DeadLetter, RefusedRecord
from trafficapp.privacy.pseudonyms import Pseudonyms

#: Reasons whose detail says nothing of what a message says.
_SAYS_NOTHING = frozenset({"not_json", "empty", "too_large", "unreadable_record"})
_LEFT_OUT = "what was said is not kept, since ids of vehicles are hashed"

#: Fields of detections in all their forms.
DETECTION_FIELDS = frozenset(
    {
        *("camera_id", "timestamp", "ts", "frame_id", "vehicle_id", "class", "confidence", "lane_id", "detections"),
        *("bbox", "centroid", "x", "y", "w", "h", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "centroid_x", "centroid_y"),
        *("speed_estimate", "speed_kmh"),
    }
)


class Discretion:
    """Takes ids out of dead letters.

    Args:
        pseudonyms: what hashes ids.
        ids: fields that name a vehicle or a person.
        fields: all that a message may have.
        time: that which says when.
        untouched: ids that name no vehicle.
    """

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        ids: Collection[str],
        fields: Collection[str],
        time: Collection[str] = ("timestamp",),
        untouched: Collection[str] = (),
    ) -> None:
        self._pseudonyms, self._ids, self._fields = pseudonyms, frozenset(ids), frozenset(fields)
        self._times, self._untouched = frozenset(time), frozenset(untouched)

    def apply(self, letter: DeadLetter, record: RefusedRecord) -> DeadLetter:
        """A letter as it may be sent; ``value_sha256`` goes, since it could be tried like the ids."""
        message = self._read(letter)
        if message is None:
            detail = letter.detail if letter.reason in _SAYS_NOTHING else _LEFT_OUT
            return structs.replace(letter, key_base64=None, value_base64=None, value_sha256=None, detail=detail)
        hashed: dict[str, str] = {}
        told_us = self._time_us(message)
        time_us = record.timestamp * 1000 if told_us is None else told_us
        if told_us is None:
            # what stands where a time belongs may be an id
            message |= dict.fromkeys(self._times & message.keys())
        kept = self._without_ids(message, time_us, hashed)
        detail = _LEFT_OUT if told_us is None else letter.detail
        for said, shown in sorted(hashed.items(), key=lambda one: -len(one[0])):
            detail = detail.replace(said, shown)
        return structs.replace(
            letter,
            key_base64=self._key(letter, kept, hashed),
            value_base64=base64.b64encode(msgspec.json.encode(kept)).decode(),
            value_sha256=None,
            detail=detail,
        )

    def _read(self, letter: DeadLetter) -> dict[str, Any] | None:
        try:
            message = msgspec.json.decode(letter.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def _time_us(self, message: Mapping[str, Any]) -> int | None:
        for name in self._times:
            if (told := message.get(name)) is not None:
                try:
                    return event_time_us(told)
                except (ValueError, OverflowError, TypeError):
                    return None
        return None

    def _without_ids(self, said: Any, time_us: int, hashed: dict[str, str]) -> Any:
        if isinstance(said, list):
            # a text that is no number stands in no list of ours
            return [
                None if isinstance(one, str) and not _is_number(one) else self._without_ids(one, time_us, hashed)
                for one in said
            ]
        if not isinstance(said, dict):
            return said
        return {
            name: self._hash(value, time_us, hashed) if name in self._ids else self._without_ids(value, time_us, hashed)
            for name, value in said.items()
            if name in self._fields or name in self._ids
        }

    def _hash(self, said: Any, time_us: int, hashed: dict[str, str]) -> str | None:
        if isinstance(said, bool) or not isinstance(said, str | int):
            return None
        text = str(said)
        if not text or text in self._untouched:
            return text
        hashed[text] = self._pseudonyms.of(text, time_us)
        return hashed[text]

    def _key(self, letter: DeadLetter, kept: Mapping[str, Any], hashed: Mapping[str, str]) -> str | None:
        """The key, where it is known what it says."""
        try:
            key = (letter.key or b"").decode()
        except UnicodeDecodeError:
            return None
        if key in hashed:
            key = hashed[key]
        elif key not in {str(value) for value in kept.values() if isinstance(value, str | int)}:
            return None
        return base64.b64encode(key.encode()).decode()


def _is_number(said: str) -> bool:
    try:
        float(said)
    except ValueError:
        return False
    return True
