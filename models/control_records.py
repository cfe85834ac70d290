"""Signatures of the workers' own records (ticks, changed thresholds) in topics to which others write, too.

Such a record carries the header `TICK_HEADER`; its value is the signature, HMAC-SHA256 of topic and value. Without keys
nothing is signed and nothing checked: then whoever may write to the topic is trusted with them. Only records with the
header are looked at, so messages cost nothing more.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence


def keys_of(setting: str) -> tuple[bytes, ...]:
    """The keys of a setting, the one that signs first; see `settings.KafkaSettings.control_keys`."""
    return tuple(key.strip().encode() for key in setting.split(",") if key.strip())


def signature(keys: Sequence[bytes], topic: str, value: bytes | None) -> bytes:
    """What the header of a record is to hold, as hexadecimal digits; nothing without keys."""
    return _digest(keys[0], topic, value) if keys else b""


def is_signed(keys: Sequence[bytes], topic: str, value: bytes | None, found: bytes | None) -> bool:
    """Say whether a record's header was made by somebody who has one of the keys; so is all, where there are none."""
    return not keys or any(hmac.compare_digest(_digest(key, topic, value), found or b"") for key in keys)


def _digest(key: bytes, topic: str, value: bytes | None) -> bytes:
    return hmac.digest(key, topic.encode() + b"\0" + (value or b""), "sha256").hex().encode()
