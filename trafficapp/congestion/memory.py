"""What is remembered of congestion events, and the state row that holds it."""

from __future__ import annotations

import zlib

import msgspec
from msgspec import Struct, field

from models.roads.congestion import CongestionCause
from trafficapp.congestion.slow_roads import SlowRoad
from trafficapp.congestion.suspicion import Suspicion
from trafficapp.engine.state_rows import OFFSET_BYTES, state_row

#: Key of the state row that holds all events.
CONGESTION_KEY = b"\x00congestion"


class Event(Struct, array_like=True, gc=False):
    """What is remembered of an event.

    Attributes:
        roads: on which it is now.
        last: the roads that became calm lately.
        calm_us: when that was; 0 while it goes on.
        told_us: when it was told last; 0 while it is untold.
        told_m: length of the queue then; of a part of a split event that at the split.
        is_critical: whether it was told as CRITICAL.
        number: changes that were told.
        looked_us: when it was measured last.
        lengths: (microseconds, metres) of its queue in the last minutes.
        cause: where one was found outside of the log.
        changed_us: when it changed last.
        suspicion: the incident that is suspected on one of its roads.
    """

    event_id: str
    began_us: int
    roads: list[str] = field(default_factory=list)
    last: list[SlowRoad] = field(default_factory=list)
    calm_us: int = 0
    delay_vehicle_hours: float = 0.0
    told_us: int = 0
    told_m: float = 0.0
    is_critical: bool = False
    number: int = 0
    looked_us: int = 0
    lengths: list[tuple[int, float]] = field(default_factory=list)
    cause: CongestionCause | None = None
    changed_us: int = 0
    suspicion: Suspicion | None = None
    # new fields go to the end


class Kept(Struct, array_like=True):
    """All that is remembered, as one row: whoever goes on has all of it as of one offset.

    Attributes:
        applied: offset of the last observation.
        clock_us: time of the log.
        closed: closed roads, each with when that was told, and its edges.
        sources: by partition of the feed, offset and time of the newest message.
    """

    applied: int = -1
    clock_us: int = 0
    roads: list[SlowRoad] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    closed: dict[str, tuple[int, list[tuple[str, float]]]] = field(default_factory=dict)
    sources: dict[int, tuple[int, int]] = field(default_factory=dict)
    # new fields go to the end


_encode_row = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(Kept).decode
_unpack = msgspec.msgpack.Decoder(bytes).decode


def read_row(row: bytes) -> Kept:
    """What the state row says; raises one of `models.records.MALFORMED` on one that is none."""
    try:
        return _decode_row(zlib.decompress(_unpack(row[OFFSET_BYTES:])))
    except zlib.error as error:
        raise ValueError(f"the row of congestion events is damaged: {error}") from None


def row_of(kept: Kept) -> tuple[bytes, bytes]:
    """The state row; compressed, since it holds every slow road of the city."""
    return CONGESTION_KEY, state_row(kept.applied, zlib.compress(_encode_row(kept), 1))
