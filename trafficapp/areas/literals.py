"""Messages that were written as literals of Python, ``{'label': None}``, which older counters send, as JSON.

Only what can be a message is given to Python's own reader: its parser takes far longer for odd texts than for plain
ones, and goes deep into the stack for nested ones. So a text is looked through first, in one pass: strings, numbers,
True, False, None, and brackets that are nested no deeper than a message is.
"""

from __future__ import annotations

import ast
import json
import re

from models.cameras.detections import Rejected

#: Brackets within each other.
MOST_LEVELS = 8

#: Strings, numbers, brackets, commas and so on; a message has some forty.
MOST_TOKENS = 500

_STRING = r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\""
# what is behind a number ends it: a chain of sums is no message
_NUMBER = r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{0,64})?|\.[0-9]{1,64})(?:[eE][+-]?[0-9]{1,3})?(?=\s*(?:[,:}\])]|$))"
_TOKEN = re.compile(rf"\s*(?:{_STRING}|{_NUMBER}|True|False|None|(?P<open>[{{\[(])|(?P<close>[}}\])])|[,:])\s*")


def json_of_literal(text: str) -> bytes:
    """The JSON of a dictionary that is written as Python writes it.

    Args:
        text: as long as the caller allows.

    Raises:
        Rejected: with reason ``not_json``; it is none.
    """
    _look_through(text)
    try:
        value = ast.literal_eval(text.strip())
        if not isinstance(value, dict):
            raise Rejected("invalid_field", f"expected an object, got {type(value).__name__}")
        return json.dumps(value, allow_nan=False).encode()
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _none(f"{type(error).__name__}: {str(error)[:200]}") from None


def _look_through(text: str) -> None:
    place = depth = tokens = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _none(f"character {place} cannot be read: {text[place : place + 32]!r}")
        if found["open"]:
            depth += 1
            if depth > MOST_LEVELS:
                raise _none(f"more than {MOST_LEVELS} brackets are within each other")
        elif found["close"]:
            depth -= 1
        place, tokens = found.end(), tokens + 1
        if tokens > MOST_TOKENS:
            raise _none(f"more than {MOST_TOKENS} strings, numbers, brackets and commas are in it")


def _none(why: str) -> Rejected:
    return Rejected("not_json", f"the message is neither JSON nor a literal of Python: {why}")
