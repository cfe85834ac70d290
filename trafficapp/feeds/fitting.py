"""Whether a feed's table can hold every message of the feed's form, so that nobody need make its row to know that."""

from __future__ import annotations

from typing import Any

from msgspec import inspect

from trafficapp.feeds.declaration import RECORD_TIME, Feed
from trafficapp.feeds.shapes import field_kinds

#: What a column ``integer`` holds, and a column ``bigint``: half of it either side of zero.
_HALVES = {"integer": 1 << 31, "bigint": 1 << 63}

#: Of the texts of a row's key beside the natural key, which has 256: an index takes 2,048 bytes in any alphabet.
_MOST_CHARACTERS = 256


def always_fits(feed: Feed[Any]) -> bool:
    """Whether there is a row of every message that was read, as long as tables can hold the time of its record.

    What is not known to be so counts as not so.
    """
    history = feed.history
    if history is None or feed.checks is not None:
        return history is None
    kinds = field_kinds(feed.shape)
    # these were looked at when the message was read
    known = {feed.key, feed.time, RECORD_TIME}
    sources = {name: column.of or name for name, column in history.columns.items()}
    characters = 0
    for name, column in history.columns.items():
        if (source := sources[name]) in known:
            continue
        if not all(_fits(column.type, kind) for kind in kinds[source]):
            return False
        if name in history.key:
            characters += max(map(_characters, kinds[source]), default=0)
    return characters <= _MOST_CHARACTERS


def _fits(column: str, kind: inspect.Type) -> bool:
    """Whether a column takes whatever a field of a kind says."""
    match kind:
        case inspect.StrType():
            return column == "text"
        case inspect.LiteralType(values=values):
            return column == "text" and all(isinstance(value, str) for value in values)
        case inspect.FloatType():
            return column == "double precision"
        case inspect.BoolType():
            return column == "boolean"
        case inspect.ListType(item_type=inspect.FloatType()):
            return column == "double precision[]"
        case inspect.IntType(ge=int(least), le=int(most)):
            half = _HALVES.get(column, 0)
            return -half <= least and most < half
    return False


def _characters(kind: inspect.Type) -> int:
    """How many a text has at most."""
    match kind:
        case inspect.StrType(max_length=longest):
            return _MOST_CHARACTERS + 1 if longest is None else longest
        case inspect.LiteralType(values=values):
            return max(len(str(value)) for value in values)
    return 0
