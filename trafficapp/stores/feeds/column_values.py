"""Values of messages as the columns of a feed's table hold them, or an error where a column cannot.

Postgres would refuse the same values, but only when a message was accepted long ago and nobody can be told.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from models.cameras.detections import event_time_us
from trafficapp.stores.postgres.rows import NUL, storable
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US

Convert: TypeAlias = Callable[[Any], Any]

#: Arrays and objects within each other; Postgres takes some thousands, and reading here must not depend on how deep
#: the stack of the reader is by then.
MOST_LEVELS: Final = 100

#: Bytes of the texts of a row's key; an entry of an index of Postgres holds 2,704.
LONGEST_KEY_BYTES: Final = 2048

_MOST_BYTES_A_CHARACTER: Final = 4

_IS_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch

#: Bits of the whole numbers of Postgres.
_BITS = {"integer": 32, "bigint": 64}

#: Every whole number of Postgres holds those below.
_SMALL: Final = 1 << 31

_FITTING = {"double precision": float, "boolean": bool}

_encode = msgspec.json.Encoder().encode


def convert_of(kind: str, zone: tzinfo) -> Convert:
    """What makes a value, never None, fit a column.

    It raises one of `models.records.MALFORMED` for what the column cannot hold.

    Args:
        kind: the type of a `trafficapp.feeds.declaration.Column`.
        zone: of times without an offset.
    """
    if kind in _BITS:
        return partial(_whole, bits=_BITS[kind])
    converts: dict[str, Convert] = {
        "text": _text,
        "timestamptz": lambda value: (event_time_us(value, zone) - POSTGRES_EPOCH_US,),
        "double precision": _real,
        "boolean": _truth,
        "uuid": _uuid,
        "jsonb": _json,
        "double precision[]": _array,
    }
    return converts[kind]


def takes_as_it_is(kind: str, type_of_value: type | None) -> bool:
    """Whether a column takes every value of a type as it is."""
    return type_of_value is not None and _FITTING.get(kind) is type_of_value


def check_key(values: tuple[Any, ...]) -> None:
    """Look at the values of a row's key.

    Raises:
        ValueError: they are too long for an index.
    """
    if sum([len(value) for value in values if isinstance(value, str)]) * _MOST_BYTES_A_CHARACTER <= LONGEST_KEY_BYTES:
        return
    size = sum(len(value.encode()) for value in values if isinstance(value, str))
    if size > LONGEST_KEY_BYTES:
        raise ValueError(f"the texts of a row's key have {size:,} bytes, and {LONGEST_KEY_BYTES:,} are taken")


def _text(value: Any) -> str:
    """A text as it is, else as JSON has it."""
    if type(value) is str:
        return value if NUL not in value else storable(value)
    plain = value if isinstance(value, str) else _plain(value)
    return storable(plain if isinstance(plain, str) else _encode(plain).decode())


def _uuid(value: Any) -> str | uuid.UUID:
    """One that is written as it should be is taken as it is: making an object of it costs more than all else."""
    if isinstance(value, uuid.UUID) or (isinstance(value, str) and _IS_UUID(value)):
        return value
    return uuid.UUID(str(value))


def _real(value: Any) -> float:
    if type(value) is float:
        return value
    if not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:64]!r} is no number")
    return float(value)


def _whole(value: Any, bits: int) -> int:
    if type(value) is int and -_SMALL <= value < _SMALL:
        return value
    if not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"{str(value)[:64]!r} is no whole number")
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise ValueError(f"{str(value)[:64]} needs more than {bits} bits")
    return int(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{str(value)[:64]!r} is neither true nor false")
    return value


def _array(values: Any) -> str:
    if not isinstance(values, list | tuple):
        raise ValueError(f"{str(values)[:64]!r} is no array")
    return "{" + ",".join("NULL" if value is None else repr(_real(value)) for value in values) + "}"


def _json(value: Any) -> str:
    if value == {}:
        return "{}"
    return _encode(_storable(_plain(value))).decode()


def _plain(value: Any) -> Any:
    """A value as JSON has it, shapes within shapes included."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else msgspec.to_builtins(value)


def _storable(value: Any, levels: int = MOST_LEVELS) -> Any:
    """A value of JSON without the character that Postgres cannot hold."""
    if isinstance(value, str):
        return storable(value)
    if not isinstance(value, list | tuple | dict):
        return value
    if not levels:
        raise ValueError(f"more than {MOST_LEVELS} arrays and objects are within each other")
    if isinstance(value, dict):
        return {storable(str(key)): _storable(one, levels - 1) for key, one in value.items()}
    return [_storable(one, levels - 1) for one in value]
