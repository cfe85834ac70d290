"""Vehicle detections as roadside cameras send them: topic ``traffic.events.raw``.

Three forms are accepted: one nested detection (B1), one flat detection, and a frame that carries
all detections of one picture. Numbers may be written as text. `DetectionDecoder` turns any of them into a
`Detection` or `Frame`, or says why it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, tzinfo
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from models.text_numbers import number, whole_number
from models.timestamps import FIRST_MILLISECOND_VALUE, epoch_us

Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
Ratio = Annotated[float, Meta(ge=0.0, le=1.0)]
Extent = Annotated[float, Meta(ge=0.0, le=1e6)]
Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
#: Texts stay texts here: msgspec rounds what a time says beyond microseconds, and the rule is to cut it.
Timestamp: TypeAlias = str | int | float

#: The whole numbers that the state and the history can keep.
FrameNumber = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

#: Windows of times before this one end in a year that has four digits.
_TIMES_END_US = 253_370_764_800 * 1_000_000

#: A message of more bytes is refused. Clients send up to 1 MB unless told otherwise, but what they compress may be
#: larger; and what is read as one piece must not keep everything else waiting.
MAX_MESSAGE_BYTES = 1 << 20

#: A frame of more detections is refused, for the same reason; a picture holds hundreds.
MAX_FRAME_DETECTIONS = 5000

#: Header that marks a record of ours which carries no detection but measures silence.
TICK_HEADER = "trafficapp-tick"


class Box(Struct, gc=False, frozen=True):
    """A rectangle in pixels: its upper left corner, width and height."""

    x: Coordinate
    y: Coordinate
    w: Extent
    h: Extent


class Point(Struct, gc=False, frozen=True):
    """A point in pixels."""

    x: Coordinate
    y: Coordinate


class FrameDetection(Struct, gc=False, rename={"vehicle_class": "class"}):
    """One vehicle in a picture: the part of a detection that differs within a frame."""

    vehicle_id: Identifier
    vehicle_class: str
    confidence: Ratio
    bbox: Box
    centroid: Point | None = None
    lane_id: Annotated[int, Meta(ge=0, le=32_767)] | None = None
    speed_estimate: Annotated[float, Meta(ge=0.0)] | None = None


class Detection(FrameDetection, gc=False, kw_only=True):
    """One vehicle seen by one camera in one picture (form B1). ``speed_estimate`` is km/h.

    ``detections`` is no part of it: when it is set, the message is a frame.
    """

    camera_id: Identifier
    timestamp: Timestamp
    frame_id: FrameNumber
    detections: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Frame(Struct, kw_only=True):
    """All vehicles of one picture in one message."""

    camera_id: Identifier
    timestamp: Timestamp
    frame_id: FrameNumber
    detections: list[FrameDetection]


#: What a fast decoder raises on a message that it cannot take.
UNDECODABLE = (msgspec.MsgspecError, TypeError, UnicodeDecodeError, RecursionError)


class Rejected(Exception):
    """A message or detection that cannot be accepted.

    Attributes:
        reason: the stable word that goes to the dead letter and the counter.
        detail: what exactly is wrong, for a person.
        events: how many detections go with it; a message that cannot be read counts as one.
    """

    def __init__(self, reason: str, detail: str, events: int = 1) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.events = events

    @property
    def parts(self) -> Sequence[Rejected]:
        """What was refused, each for its own reason."""
        return (self,)


class RejectedFrame(Rejected):
    """A frame all of whose detections are refused."""

    def __init__(self, parts: Sequence[Rejected]) -> None:
        super().__init__(parts[0].reason, parts[0].detail, sum(part.events for part in parts))
        self._parts = parts

    @property
    def parts(self) -> Sequence[Rejected]:
        """What was refused, each for its own reason."""
        return self._parts


class DetectionDecoder:
    """Decodes and validates one message of ``traffic.events.raw``.

    Args:
        vehicle_classes: the classes that are accepted.
        max_speed_kmh: a reported speed above it is impossible.
    """

    def __init__(self, vehicle_classes: Collection[str], max_speed_kmh: float) -> None:
        self.vehicle_classes = frozenset(vehicle_classes)
        self.max_speed_kmh = max_speed_kmh
        detection, frame = _accepted(self.vehicle_classes, max_speed_kmh)
        #: The fast decoders, of bytes; they raise one of `UNDECODABLE` when the message needs a closer look. So does a
        #: detection that has ``detections``.
        self.decode_detection: Callable[[bytes], Detection] = msgspec.json.Decoder(detection).decode
        self.decode_frame: Callable[[bytes], Frame] = msgspec.json.Decoder(frame).decode

    def decode_otherwise(self, value: bytes | None, frames_first: bool) -> tuple[Detection | Frame, list[Rejected]]:
        """Decode a message that is not what was expected.

        Whatever is tried first, a message always means the same: a faultless detection has no
        ``detections`` and a frame has, so at most one of the two fast decoders takes it.

        Args:
            value: the message.
            frames_first: whether a frame was expected, and tried already.

        Returns:
            the detection or frame, and what had to be left out of a frame.

        Raises:
            Rejected: nothing of the message can be accepted.
        """
        if value and len(value) > MAX_MESSAGE_BYTES:
            # who would read it once to see what it is would have read it
            raise _too_large(value)
        try:
            if not frames_first:
                return self.decode_frame(value), []  # type: ignore[arg-type]
            message = self.decode_detection(value)  # type: ignore[arg-type]
            if message.detections is msgspec.UNSET:
                return message, []
        except UNDECODABLE:
            pass  # the patient decoder decides, and names the fault the same way whatever was tried
        return self.decode(value)

    def decode(self, value: bytes | None) -> tuple[Detection | Frame, list[Rejected]]:
        """Decode one message of any form, patiently.

        Returns:
            the detection or frame, and what had to be left out of a frame: a faulty detection in a
            frame does not cost its neighbours.

        Raises:
            Rejected: nothing of the message can be accepted.
        """
        if not value:
            raise Rejected("empty", "the message has no value")
        if len(value) > MAX_MESSAGE_BYTES:
            raise _too_large(value)
        try:
            message = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected("not_json", str(error)) from None
        if not isinstance(message, dict):
            raise Rejected("invalid_field", f"expected an object, got {type(message).__name__}")
        message = _canonical(message)
        if "detections" in message:
            return self._frame(message)
        detection: Detection = _convert(message, Detection)
        self.check(detection)
        return detection, []

    def check(self, detection: FrameDetection) -> None:
        """Refuse what the shape alone cannot: an unknown class, an impossible speed. `_accepted` must refuse the same.

        Raises:
            Rejected: with reason ``unknown_class`` or ``impossible_speed``.
        """
        if detection.vehicle_class not in self.vehicle_classes:
            raise Rejected("unknown_class", f"class {detection.vehicle_class!r} is not one of the accepted")
        speed_kmh = detection.speed_estimate
        if speed_kmh is not None and speed_kmh > self.max_speed_kmh:
            raise Rejected("impossible_speed", f"speed_estimate {speed_kmh:g} km/h is above {self.max_speed_kmh:g}")

    def _frame(self, message: dict[str, Any]) -> tuple[Frame, list[Rejected]]:
        parts = message["detections"]
        if not isinstance(parts, list):
            raise Rejected("invalid_field", "detections: expected an array")
        if len(parts) > MAX_FRAME_DETECTIONS:
            detail = f"the frame has {len(parts):,} detections, and {MAX_FRAME_DETECTIONS:,} are read"
            raise Rejected("too_large", detail, len(parts))
        frame = _convert({**message, "detections": []}, Frame)
        rejected = []
        for index, part in enumerate(parts):
            try:
                if not isinstance(part, dict):
                    raise Rejected("invalid_field", "expected an object")
                detection = _convert(_canonical(part), FrameDetection)
                self.check(detection)
                frame.detections.append(detection)
            except Rejected as error:
                rejected.append(Rejected(error.reason, f"detections[{index}]: {error.detail}"))
        if rejected and not frame.detections:
            raise RejectedFrame(rejected)
        return frame, rejected


def _accepted(vehicle_classes: frozenset[str], max_speed_kmh: float) -> tuple[type[Detection], type[Frame]]:
    """The shapes with which decoding alone refuses a class, a speed or a number of detections."""
    vehicle_class = Literal[tuple(sorted(vehicle_classes))]  # type: ignore[valid-type]
    speed_kmh = Annotated[float, Meta(ge=0.0, le=max_speed_kmh)] | None
    fields: list[Any] = [("vehicle_class", vehicle_class), ("speed_estimate", speed_kmh, None)]
    options: dict[str, Any] = {"gc": False, "kw_only": True, "rename": {"vehicle_class": "class"}}
    part = msgspec.defstruct("AcceptedPart", fields, bases=(FrameDetection,), **options)
    detection = msgspec.defstruct("AcceptedDetection", fields, bases=(Detection,), **options)
    parts = Annotated[list[part], Meta(max_length=MAX_FRAME_DETECTIONS)]  # type: ignore[valid-type]
    frame = msgspec.defstruct("AcceptedFrame", [("detections", parts)], bases=(Frame,), kw_only=True)
    return detection, frame  # type: ignore[return-value]


def check_key(key: bytes | None, message: Detection | Frame) -> None:
    """Refuse a message under another key than its camera's: it may stand in another camera's partition.

    Raises:
        Rejected: with reason ``key_mismatch``.
    """
    camera_id = message.camera_id
    if key is None or key != camera_id.encode() or key.startswith(b"\x00"):
        raise Rejected("key_mismatch", f"the record key is not the camera_id {camera_id!r}", events_in(message))


def events_in(message: Detection | Frame) -> int:
    """How many detections a message carries; an empty frame counts as one message."""
    return len(message.detections) or 1 if isinstance(message, Frame) else 1


def event_time_us(timestamp: Timestamp, zone: tzinfo = UTC) -> int:
    """Microseconds since the epoch of a decoded timestamp, as far as a window can be named after it.

    Args:
        timestamp: of any accepted form.
        zone: that a time without an offset is of.

    Raises:
        ValueError: no timestamp, a time before 1970, or one whose window ends beyond the year 9998.
        OverflowError: likewise.
    """
    if type(timestamp) is int and timestamp >= FIRST_MILLISECOND_VALUE:
        # what most cameras send
        time_us = timestamp * 1000
    else:
        time_us = epoch_us(timestamp, zone)
    if not is_event_time(time_us):
        raise ValueError(f"timestamp {timestamp} is before 1970 or beyond the year 9998")
    return time_us


def is_event_time(time_us: int) -> bool:
    """Whether something can have happened at a time, microseconds since the epoch."""
    return 0 <= time_us < _TIMES_END_US


def time_us_of(message: Detection | Frame) -> int:
    """Microseconds since the epoch of a message's time.

    Raises:
        Rejected: with reason ``invalid_timestamp``. A text that is no time makes the whole message unreadable, which
            counts as one.
    """
    try:
        return event_time_us(message.timestamp)
    except (ValueError, OverflowError) as error:
        is_text = isinstance(message.timestamp, str)
        raise Rejected("invalid_timestamp", str(error), 1 if is_text else events_in(message)) from None


def _too_large(value: bytes) -> Rejected:
    return Rejected("too_large", f"the message has {len(value):,} bytes, and {MAX_MESSAGE_BYTES:,} are read")


def _canonical(message: dict[str, Any]) -> dict[str, Any]:
    """Bring the flat form and lenient spellings to the nested form; what is absent stays absent.

    Names of the flat form count only where there is no nested ``bbox``, as for the fast decoders.
    """
    out = dict(message)
    if "ts" in out:
        out.setdefault("timestamp", out.pop("ts"))
    corners = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")
    if "bbox" not in out and any(name in out for name in corners):
        out["bbox"] = {name[-1]: out[name] for name in corners if name in out}
        if "speed_kmh" in out:
            out.setdefault("speed_estimate", out.pop("speed_kmh"))
        if out.get("centroid_x") is not None and out.get("centroid_y") is not None:
            out.setdefault("centroid", {"x": out["centroid_x"], "y": out["centroid_y"]})
    timestamp = out.get("timestamp")
    if isinstance(timestamp, str):
        try:
            event_time_us(timestamp)
        except (ValueError, OverflowError):
            raise Rejected("invalid_timestamp", f"timestamp {timestamp[:64]!r} is not ISO 8601") from None
    for name in ("vehicle_id", "camera_id"):
        if isinstance(out.get(name), int) and not isinstance(out[name], bool):
            out[name] = str(out[name])
    return out


def _convert(message: dict[str, Any], shape: Any) -> Any:
    try:
        return msgspec.convert(message, shape, strict=True)
    except msgspec.ValidationError:
        pass  # what it says may be right, and only written as text
    try:
        return msgspec.convert(_with_numbers(message), shape, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        reason = "missing_field" if "missing required field" in text else "invalid_field"
        raise Rejected(reason, text) from None


#: Fields that are numbers, and how they are read when they are not written as such.
_NUMBERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("frame_id", whole_number),
    ("confidence", number),
    ("lane_id", whole_number),
    ("speed_estimate", number),
)
_PLACES = (("bbox", ("x", "y", "w", "h")), ("centroid", ("x", "y")))


def _with_numbers(message: dict[str, Any]) -> dict[str, Any]:
    """The same with numbers where producers wrote text, or ``1.0`` for a whole number.

    Raises:
        Rejected: with reason ``invalid_field``; a field says something else.
    """
    out, path = dict(message), ""
    try:
        for path, read in _NUMBERS:
            if path in out:
                out[path] = read(out[path])
        for name, members in _PLACES:
            place = out.get(name)
            if isinstance(place, dict):
                out[name] = place = dict(place)
                for member in members:
                    path = f"{name}.{member}"
                    if member in place:
                        place[member] = number(place[member])
    except ValueError as error:
        raise Rejected("invalid_field", f"{path}: {error}") from None
    return out
