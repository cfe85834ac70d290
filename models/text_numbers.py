"""Numbers that a producer wrote as text, or whole ones with a decimal point: ``"0.9"``, ``"12"``, ``1.0``.

What is none stays none: ``""``, ``"abc"``, ``"NaN"``, ``"inf"``, ``"0,9"``, ``1.5`` for a whole number, and booleans.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

#: More characters than any number of a camera has.
_LONGEST = 64

_BLANKS = " \t\r\n"

#: Three digits of exponent are more than a float holds.
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?").fullmatch

#: Whole numbers from here on are beyond every field; larger ones are not written out.
_BEYOND = 1e19


def number(value: Any) -> Any:
    """The number that a text says; anything but a text as it is.

    Raises:
        ValueError: the text says no number that a float can hold.
    """
    if not isinstance(value, str):
        return value
    return float(_text(value))


def whole_number(value: Any) -> Any:
    """The whole number that a text or a float says; anything else as it is.

    Raises:
        ValueError: it says no whole number.
    """
    if isinstance(value, str):
        text = _text(value)
    elif isinstance(value, float):
        text = repr(value)
    else:
        return value
    if not abs(float(text)) < _BEYOND:
        raise ValueError(f"{_shown(value)} is out of range")
    exact = Decimal(text)
    if exact != exact.to_integral_value():
        raise ValueError(f"{_shown(value)} is no whole number")
    return int(exact)


def _text(value: str) -> str:
    text = value.strip(_BLANKS)
    if len(value) > _LONGEST or not _NUMBER(text):
        raise ValueError(f"{_shown(value)} is no number")
    if not math.isfinite(float(text)):
        raise ValueError(f"{_shown(value)} is out of range")
    return text


def _shown(value: object) -> str:
    return repr(value)[:_LONGEST]
