"""Files of cameras: CSV, JSON, GeoJSON, as cities keep them, row by row into one shape."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from models.administration import NewCamera
from trafficapp.cameras.calibration import check_calibration

#: What each field is called in the wild; letter case, blanks and dashes do not matter.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "camera_id": ("camera_id", "id", "camera", "cameraid", "cam_id", "device_id"),
    "name": ("name", "camera_name", "title", "label"),
    "latitude": ("latitude", "lat", "y"),
    "longitude": ("longitude", "lon", "lng", "long", "x"),
    "road_segment": ("road_segment", "segment", "segment_id", "road", "road_id", "edge_id", "street"),
    "description": ("description", "desc", "note", "notes"),
    "calibration": ("calibration",),
}
_FIELD_OF = {alias: field for field, aliases in ALIASES.items() for alias in aliases}


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"
    GEOJSON = "geojson"


class UnreadableFile(Exception):
    """A file that is none of cameras; the message says why."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A camera that a file has."""

    where: str
    camera: NewCamera


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is no camera."""

    where: str
    reason: str


Row: TypeAlias = Accepted | Refused

#: Where a row stands, and its fields as the file has them; or what is wrong with it.
_Found: TypeAlias = tuple[str, "Mapping[str, Any] | str"]


def format_of(path: Path) -> Format:
    """The format that a file's name tells.

    Raises:
        UnreadableFile: it tells none.
    """
    known = {".csv": Format.CSV, ".tsv": Format.CSV, ".json": Format.JSON, ".geojson": Format.GEOJSON}
    try:
        return known[path.suffix.lower()]
    except KeyError:
        raise UnreadableFile(f"{path.name}: say with --format whether it is csv, json or geojson") from None


def read_cameras(content: bytes, kind: Format) -> Iterator[Row]:
    """Read a file; rows that are no cameras are told, too.

    A file with the ending ``.json`` may be GeoJSON.

    Raises:
        UnreadableFile: at the first row, when it is not of its format at all.
    """
    found = _csv_rows(content) if kind is Format.CSV else _json_rows(content, kind)
    seen: dict[str, str] = {}
    for where, row in found:
        try:
            camera = _camera(row)
        except ValueError as error:  # also of msgspec, and an unstorable calibration
            yield Refused(where, str(error))
            continue
        first = seen.setdefault(camera.camera_id, where)
        if first != where:
            yield Refused(where, f"camera {camera.camera_id!r} stands at {first} already")
        else:
            yield Accepted(where, camera)


def _camera(row: Mapping[str, Any] | str) -> NewCamera:
    if isinstance(row, str):
        raise ValueError(row)
    given: dict[str, Any] = {}
    for name, value in row.items():
        field = _field_of(name)
        if field is not None and field not in given and value not in (None, ""):
            given[field] = _value(field, value)
    camera = msgspec.convert(given, NewCamera)
    for field in ("latitude", "longitude"):
        if getattr(camera, field) is None:
            raise ValueError(f"it has no {field}")
    check_calibration(camera.calibration)
    return camera


def _field_of(name: str) -> str | None:
    return _FIELD_OF.get(name.strip().lower().replace(" ", "_").replace("-", "_"))


def _value(field: str, value: Any) -> Any:
    """A value as the shape wants it; in CSV everything is text, and elsewhere numbers sometimes are."""
    if field in ("latitude", "longitude"):
        try:
            return float(value.replace(",", ".")) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(f"{field} {value[:40]!r} is no number") from None
    if field == "calibration":
        try:
            return msgspec.json.decode(value) if isinstance(value, str) else value
        except (msgspec.DecodeError, RecursionError):
            raise ValueError("calibration is no JSON") from None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # ids and roads are often numbers
    return value.strip() if isinstance(value, str) else value


# ---------------------------------------------------------------------- CSV


def _csv_rows(content: bytes) -> Iterator[_Found]:
    text = _text(content)
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        _check_header(reader.fieldnames or ())
        for row in reader:
            # the line where a row ends: a quoted cell may hold several
            yield f"line {reader.line_num}", "it has more cells than the first line" if None in row else row
    except csv.Error as error:
        raise UnreadableFile(f"after line {reader.line_num}: {error}") from None


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line} is not UTF-8") from None


def _check_header(header: Iterable[str]) -> None:
    fields = {_field_of(name) for name in header}
    missing = [field for field in ("camera_id", "latitude", "longitude") if field not in fields]
    if missing:
        known = "; ".join(f"{field} may be called {', '.join(ALIASES[field])}" for field in missing)
        raise UnreadableFile(f"the first line names no column for {', '.join(missing)} ({known})")


# ---------------------------------------------------------------------- JSON and GeoJSON


def _json_rows(content: bytes, kind: Format) -> Iterator[_Found]:
    try:
        document = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"it is no JSON: {error}") from None
    if kind is Format.GEOJSON or (isinstance(document, dict) and document.get("type") == "FeatureCollection"):
        yield from _features(document)
        return
    rows = document.get("cameras") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise UnreadableFile("it is neither a list of cameras nor an object with such a list under cameras")
    for number, row in enumerate(rows, 1):
        yield f"camera {number}", row if isinstance(row, dict) else "it is no object"


def _features(document: Any) -> Iterator[_Found]:
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list) or document.get("type") != "FeatureCollection":
        raise UnreadableFile("it is no GeoJSON FeatureCollection")
    for number, feature in enumerate(features, 1):
        yield f"feature {number}", _feature(feature)


def _feature(feature: Any) -> Mapping[str, Any] | str:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict) or geometry.get("type") != "Point":
        return "its geometry is no Point"
    match geometry.get("coordinates"):
        case [longitude, latitude, *_]:
            pass
        case _:
            return "its Point has no coordinates"
    properties = feature.get("properties")
    row: dict[str, Any] = {"longitude": longitude, "latitude": latitude}
    row |= {} if not isinstance(properties, dict) else {k: v for k, v in properties.items() if _field_of(k) not in row}
    return row if any(_field_of(name) == "camera_id" for name in row) else row | {"id": feature.get("id")}
