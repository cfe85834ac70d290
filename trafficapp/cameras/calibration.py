"""What a camera's calibration may hold: any JSON object that the database keeps as it is."""

from __future__ import annotations

from typing import Any

from models.plain_text import hidden_in

MAX_DEPTH = 32
_MAX_BITS = 64


class Unstorable(ValueError):
    """A calibration that cannot be kept; the message says why."""


def check_calibration(calibration: dict[str, Any] | None) -> None:
    """Return when a calibration can be stored.

    Raises:
        Unstorable: it cannot.
    """
    level: list[Any] = [calibration]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str) and (hidden := hidden_in(value, lines=True)) is not None:
                raise Unstorable(f"calibration must not hold the character {hidden}, which nobody sees")
            elif isinstance(value, int) and value.bit_length() > _MAX_BITS:
                raise Unstorable(f"calibration must not hold whole numbers beyond {_MAX_BITS} bits")
        if not below:
            return
        level = below
    raise Unstorable(f"calibration must not be nested deeper than {MAX_DEPTH}")
