"""Answers of HERE Traffic v7 (``/v7/flow``, ``locationReferencing=shape``) as messages of the road-speed feed.

Speeds come in metres a second and leave in km/h. A road has no name that lasts at HERE, so it is named after its
shape. A part of it that is closed (``subSegments``) is a road of its own. A result that cannot be used is left out and
counted; it costs none of its neighbours.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias
from uuid import UUID, uuid5

import msgspec
import shapely
from msgspec import Struct
from shapely.affinity import scale
from shapely.ops import substring

from models.cameras.detections import event_time_us
from models.roads.current import CLOSED_JAM_FACTOR
from models.timestamps import rfc3339
from trafficapp.sources.outgoing import Outgoing

KMH_PER_MS = 3.6

#: HERE's clock may be ahead of ours by so much.
_AHEAD_US = 60_000_000

#: Words of ``traversability`` for a road on which nobody may drive, in small letters.
_CLOSED = ("closed", "reversiblenotroutable")

#: Shapes are compared to a metre: later digits may differ between answers.
_SHAPE_DECIMALS = 5
_CUT_DECIMALS = 7
_NAMESPACE = UUID("6f1d3c1e-5a57-5d0f-8a43-6a0f8f2f2b11")
_NAME_CHARACTERS = 256


#: A road as (longitude, latitude) in driving direction.
_Line: TypeAlias = list[tuple[float, float]]


class UnusableFlow(Exception):
    """An answer that is none; the text says why."""


class _Camel(Struct, rename="camel", frozen=True):
    pass


class _Point(_Camel, frozen=True):
    lat: float
    lng: float


class _Link(_Camel, frozen=True):
    points: list[_Point]


class _Shape(_Camel, frozen=True):
    links: list[_Link]


class _Location(_Camel, frozen=True):
    shape: _Shape
    description: str | None = None


class _Flow(_Camel, frozen=True):
    jam_factor: float | None = None
    traversability: str | None = None

    @property
    def is_closed(self) -> bool:
        return (self.traversability or "").lower() in _CLOSED or (self.jam_factor or 0.0) >= CLOSED_JAM_FACTOR


class _SubSegment(_Flow, frozen=True):
    length: float | None = None


class _CurrentFlow(_Flow, frozen=True):
    speed: float | None = None
    free_flow: float | None = None
    confidence: float | None = None
    sub_segments: list[_SubSegment] | None = None


class _Result(_Camel, frozen=True):
    location: _Location
    current_flow: _CurrentFlow


class _Answer(_Camel, frozen=True):
    results: list[msgspec.Raw]
    source_updated: str | None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_result = msgspec.json.Decoder(_Result).decode
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


@dataclass(slots=True)
class HereMessages:
    """What an answer comes to.

    Attributes:
        updated_us: of when the answer is.
        is_news: whether it is newer than the last that was sent; if not, there are no messages.
        messages: one a road.
        left_out: results that were left out, by reason.
    """

    updated_us: int
    is_news: bool
    messages: list[Outgoing] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class HereFlow:
    """Turns answers into messages, each state of the roads once."""

    def __init__(self) -> None:
        self._sent_us = -1
        self._free_flow_kmh: dict[str, float] = {}

    def read(self, body: bytes, now_us: int) -> HereMessages:
        """The messages of an answer; takes a second for a large city.

        Args:
            body: the answer.
            now_us: when it came, microseconds since the epoch; counts where the answer has no time of its own.

        Raises:
            UnusableFlow: it is no such answer, or of a time that is still to come.
        """
        try:
            answer = _decode_answer(body)
        except _UNDECODABLE as error:
            raise UnusableFlow(f"it is no flow of traffic: {error}") from None
        updated_us = now_us if answer.source_updated is None else _time_us(answer.source_updated)
        if updated_us > now_us + _AHEAD_US:
            raise UnusableFlow(f"it is of {rfc3339(updated_us)}, which is still to come")
        found = HereMessages(updated_us, updated_us > self._sent_us)
        if found.is_news:
            seen: set[str] = set()
            for raw in answer.results:
                found.messages += self._messages(raw, updated_us, seen, found.left_out)
        return found

    def was_sent(self, messages: HereMessages) -> None:
        """Take note that messages were acknowledged: what is not newer is not sent again."""
        self._sent_us = max(self._sent_us, messages.updated_us)

    def _messages(
        self, raw: msgspec.Raw, updated_us: int, seen: set[str], left_out: Counter[str]
    ) -> Iterator[Outgoing]:
        """The message of a result, or none and why; and those of its closed parts."""
        try:
            result = _decode_result(raw)
        except _UNDECODABLE:
            left_out["without the form of a road"] += 1
            return
        line = _line(result.location.shape)
        road_id = _road_id(line)
        flow = result.current_flow
        free_flow_kmh = self._free_flow(road_id, flow)
        parts = _closed_parts(line, flow)
        closed = parts == [line]
        speed_kmh = 0.0 if closed else _kmh(flow.speed)
        jam_factor = CLOSED_JAM_FACTOR if closed else flow.jam_factor
        message = {
            "timestamp": rfc3339(updated_us),
            "road_name": (result.location.description or "")[:_NAME_CHARACTERS],
            "free_flow_speed": free_flow_kmh,
        }
        if len(line) < 2:
            left_out["without a line"] += 1
        elif road_id in seen:
            left_out["that came twice"] += 1
        elif speed_kmh is None or jam_factor is None or jam_factor < 0:
            left_out["without a speed"] += 1
        elif free_flow_kmh is None and not closed:
            left_out["without a free-flow speed"] += 1
        else:
            seen.add(road_id)
            told = {"traversability": flow.traversability, "confidence": flow.confidence}
            yield _outgoing(
                line,
                updated_us,
                message
                | {"current_speed": speed_kmh, "jam_factor": jam_factor}
                | {name: value for name, value in told.items() if value is not None},
            )
        for part in parts:
            if part != line and (part_id := _road_id(part)) not in seen:
                seen.add(part_id)
                yield _outgoing(part, updated_us, message | {"current_speed": 0.0, "jam_factor": CLOSED_JAM_FACTOR})

    def _free_flow(self, road_id: str, flow: _CurrentFlow) -> float | None:
        """The free-flow speed of a road; the last known when it is not told, as of closed roads; None when none is."""
        told = _kmh(flow.free_flow)
        if told:
            self._free_flow_kmh[road_id] = told
        return told or self._free_flow_kmh.get(road_id)


def _outgoing(line: _Line, updated_us: int, message: Mapping[str, object]) -> Outgoing:
    """The message of a road that is as long as its line."""
    road_id = _road_id(line)
    event_id = str(uuid5(_NAMESPACE, f"{road_id} {message['timestamp']}"))
    whole = {"event_id": event_id, "road_id": road_id, "coordinates": line, **message}
    return Outgoing(updated_us, road_id.encode(), msgspec.json.encode(whole), 1)


def _closed_parts(line: _Line, flow: _CurrentFlow) -> list[_Line]:
    """The parts of a road on which nobody may drive: the whole line, too, where it is not told which part it is.

    Parts follow each other along the road and have their lengths; several that touch are one.
    """
    parts = flow.sub_segments or []
    if flow.is_closed or (parts and all(part.is_closed for part in parts)):
        return [line]
    if len(line) < 2 or not any(part.is_closed for part in parts):
        return []
    lengths = [part.length or 0.0 for part in parts]
    if min(lengths) <= 0:
        return [line]
    ends = [end / sum(lengths) for end in accumulate(lengths, initial=0.0)]
    spans: list[tuple[float, float]] = []
    for part, begin, end in zip(parts, ends[:-1], ends[1:], strict=True):
        if part.is_closed:
            spans = [*spans[:-1], (spans[-1][0], end)] if spans and spans[-1][1] == begin else [*spans, (begin, end)]
    return [_cut(line, begin, end) for begin, end in spans]


def _cut(line: _Line, begin: float, end: float) -> _Line:
    """A part of a line, from one share of its length to another."""
    # a degree of longitude is shorter than one of latitude
    narrower = math.cos(math.radians(line[0][1]))
    flat = scale(shapely.LineString(line), narrower, 1.0, origin=(0, 0))
    cut = scale(substring(flat, begin, end, normalized=True), 1 / narrower, 1.0, origin=(0, 0))
    return [(round(lon, _CUT_DECIMALS), round(lat, _CUT_DECIMALS)) for lon, lat in cut.coords]


def _kmh(metres_per_second: float | None) -> float | None:
    return None if metres_per_second is None else round(metres_per_second * KMH_PER_MS, 2)


def _line(shape: _Shape) -> _Line:
    """The line as (longitude, latitude): the links one after the other."""
    line: _Line = []
    for link in shape.links:
        for point in link.points:
            if not line or line[-1] != (point.lng, point.lat):
                line.append((point.lng, point.lat))
    return line


def _road_id(line: _Line) -> str:
    """A name that lasts as long as the shape of the road."""
    places = ";".join(f"{lon:.{_SHAPE_DECIMALS}f},{lat:.{_SHAPE_DECIMALS}f}" for lon, lat in line)
    return "here:" + hashlib.blake2b(places.encode(), digest_size=10).hexdigest()


def _time_us(updated: str) -> int:
    try:
        return event_time_us(updated)
    except (ValueError, OverflowError):
        raise UnusableFlow(f"sourceUpdated {updated[:64]!r} is no time") from None
