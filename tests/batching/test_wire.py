"""Requests and responses are written and read as aiokafka does it, whatever stands in them."""

from __future__ import annotations

import random
from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol import types
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.struct import Struct

from trafficapp.batching import fetching, wire

_BITS = {types.Int8: 8, types.Int16: 16, types.Int32: 32, types.Int64: 64}

#: Every version of each request, and of its response.
_SHAPES = list(
    dict.fromkeys(one for kind in wire.QUICKENED for shape in kind._CLASSES for one in (shape, shape.RESPONSE_TYPE))
)


def _value(kind: Any, chance: random.Random) -> Any:
    """Something that a field of a type may hold, null and nothing among it."""
    if isinstance(kind, types.Schema):
        return tuple(_value(one, chance) for one in kind.fields)
    if isinstance(kind, types.Array):
        return chance.choice([None, [], [_value(kind.array_of, chance) for _ in range(chance.randint(1, 4))]])
    if isinstance(kind, types.String):
        return chance.choice([None, "", "road", "città"])
    if kind is types.Bytes:
        return chance.choice([None, b"", chance.randbytes(9)])
    if kind is types.Boolean:
        return chance.random() < 0.5
    return chance.choice([0, -1, 1, chance.randrange(-(1 << _BITS[kind] - 1), 1 << _BITS[kind] - 1)])


@pytest.fixture(autouse=True)
def _quick() -> None:
    fetching.install()


@pytest.mark.parametrize("shape", _SHAPES, ids=lambda shape: shape.__name__)
def test_what_is_written_and_read_is_what_the_library_writes_and_reads(shape: Any) -> None:
    """Each version of each message: the same bytes, and of bytes the same values."""
    chance = random.Random(shape.__name__)
    assert shape.is_quick
    for _ in range(20):
        values = _value(shape.SCHEMA, chance)
        written = Struct.encode(shape(*values))
        assert shape(*values).encode() == written
        # behind a header, as they come
        stream = BytesIO(b"head" + written)
        stream.seek(4)
        slow = Struct.decode.__func__(shape, written)
        assert vars(shape.decode(stream)) == vars(shape.decode(written)) == vars(slow)


def test_what_does_not_fit_is_refused_as_the_library_refuses_it() -> None:
    """Numbers that are too large, tuples that are too short, and bytes that end too early."""
    request = FetchRequest(1, 1, 1, 1, [("roads", [(0, 1, 1 << 40)])]).build(FetchRequest._CLASSES[-1])
    short = FetchRequest(1, 1, 1, 1, [("roads", [(0, 1, 1)])]).build(FetchRequest._CLASSES[-1])
    short.topics = [("roads", [(0, 1)])]
    for wrong in (request, short):
        for encode in (Struct.encode, type(wrong).encode):
            with pytest.raises(ValueError, match=r"format|argument|Item"):
                encode(wrong)
    whole = FetchResponse_v11(0, 0, 0, [("roads", [(0, 0, 1, 2, 3, [(1, 2)], -1, b"records")])]).encode()
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"buffer|underrun"):
            FetchResponse_v11.decode(whole[:end])
