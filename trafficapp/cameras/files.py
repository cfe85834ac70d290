"""Files of cameras: CSV, JSON, GeoJSON, as cities keep them, row by row into one shape."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from models.administration.changes import NewCamera
from models.text_numbers import number as number_of
from trafficapp.cameras.calibration import check_calibration

#: What each field is called in the wild, best name first; letter case, blanks, dashes and brackets do not matter.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "camera_id": ("camera_id", "cameraid", "cam_id", "id", "camera", "device_id"),
    "name": ("name", "camera_name", "title", "label"),
    "latitude": ("latitude", "lat", "latitude_wgs84", "lat_wgs84", "wgs84_lat", "gps_latitude", "gps_lat"),
    "longitude": (
        "longitude", "lon", "lng", "long", "longitude_wgs84", "lon_wgs84", "wgs84_lon", "gps_longitude", "gps_lon",
    ),
    "road_segment": ("road_segment", "segment", "segment_id", "road", "road_id", "edge_id", "street"),
    "description": ("description", "desc", "note", "notes"),
    "calibration": ("calibration",),
}  # fmt: skip

#: Names that are often those of projected coordinates: they count only where nothing is called latitude or longitude.
LETTERS: Mapping[str, tuple[str, ...]] = {
    "latitude": ("y", "point_y", "y_coord", "y_coordinate", "coord_y"),
    "longitude": ("x", "point_x", "x_coord", "x_coordinate", "coord_x"),
}

#: Names that are those of nothing else.
PROJECTED = frozenset({"easting", "northing", "eastings", "northings", "utm_x", "utm_y", "x_utm", "y_utm"})

_DEGREES_ONLY = "only degrees (WGS 84) are taken, no projected coordinates such as Web Mercator, UTM or a national grid"


@dataclass(frozen=True, slots=True)
class _Place:
    """What a column may be: a field, how good its name is (the less, the better), and whether it is a mere letter."""

    field: str
    rank: int
    letter: bool


_PLACES = {
    alias: _Place(field, rank, letter)
    for letter, names in ((False, ALIASES), (True, LETTERS))
    for field, aliases in names.items()
    for rank, alias in enumerate(aliases)
}
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE).fullmatch
_LIMITS = {"latitude": 90, "longitude": 180}


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
    given = {field: _value(field, value) for field, value in _best_named(row).items()}
    for field in _LIMITS:
        if field not in given:
            raise ValueError(f"it has no {field}")
    _check_degrees(given["latitude"], given["longitude"])
    camera = msgspec.convert(given, NewCamera)
    check_calibration(camera.calibration)
    return camera


def _best_named(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of each field the value that has the best name, wherever it stands; values that are empty are none.

    Raises:
        ValueError: two values have the same name.
    """
    places = {name: place for name in row if (place := _PLACES.get(_plain(name))) is not None}
    letters = not any(place.field in _LIMITS and not place.letter for place in places.values())
    best: dict[str, tuple[int, str]] = {}
    for name, place in places.items():
        if (place.letter and not letters) or row[name] is None or not str(row[name]).strip():
            continue
        rank, other = best.get(place.field, (len(_PLACES), ""))
        if rank == place.rank:
            raise ValueError(f"both {other!r} and {name!r} are its {place.field}")
        if place.rank < rank:
            best[place.field] = place.rank, name
    return {field: row[name] for field, (_, name) in best.items()}


def _check_degrees(latitude: Any, longitude: Any) -> None:
    """Say what is probably wrong with a place that is none.

    Raises:
        ValueError: it lies nowhere.
    """
    if not (isinstance(latitude, int | float) and isinstance(longitude, int | float)):
        return  # what is no number is refused by the shape
    y, x = abs(latitude), abs(longitude)
    if y <= _LIMITS["latitude"] and x <= _LIMITS["longitude"]:
        return
    at = f"latitude {latitude!r:.24}, longitude {longitude!r:.24}"
    if not (y < math.inf and x < math.inf):
        raise ValueError(f"{at}: that is no place")
    if max(y, x) > _LIMITS["longitude"]:
        raise ValueError(f"{at}: that is no place in degrees; {_DEGREES_ONLY}")
    swapped = "; latitude and longitude may be swapped" if x <= _LIMITS["latitude"] else ""
    raise ValueError(f"{at}: a latitude lies within -90 and 90{swapped}")


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.lower()).strip("_")


def _field_of(name: str) -> str | None:
    place = _PLACES.get(_plain(name))
    return None if place is None else place.field


def _value(field: str, value: Any) -> Any:
    """A value as the shape wants it; in CSV everything is text, and elsewhere numbers sometimes are."""
    if field in ("latitude", "longitude"):
        try:
            # one comma and no point is a decimal comma; anything else with a comma is no number
            return number_of(value.replace(",", ".")) if isinstance(value, str) else value
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
    lines = io.StringIO(text, newline="")
    skipped, head = 0, text.split("\n", 1)[0]
    if separator := _SEPARATOR(head.strip("\r")):  # the way of a spreadsheet
        skipped, delimiter = 1, separator[1]
        lines.readline()
    else:
        delimiter = max(",;\t|", key=head.count)
    reader = csv.DictReader(lines, delimiter=delimiter)
    try:
        _check_header(reader.fieldnames or ())
        for row in reader:
            # the line where a row ends: a quoted cell may hold several
            yield f"line {reader.line_num + skipped}", "it has more cells than the first line" if None in row else row
    except csv.Error as error:
        raise UnreadableFile(f"after line {reader.line_num + skipped}: {error}") from None


def _text(content: bytes) -> str:
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableFile(f"line {line} is not {error.encoding.upper()}") from None


def _check_header(header: Sequence[str]) -> None:
    """Refuse a file whose first line does not say where the fields are, or says it twice.

    Raises:
        UnreadableFile: likewise.
    """
    names = [_plain(name) for name in header]
    twice = sorted({name for name in names if name in _PLACES and names.count(name) > 1})
    if twice:
        raise UnreadableFile(f"the first line names more than one column {', '.join(twice)}")
    places = [_PLACES[name] for name in names if name in _PLACES]
    letters = not any(place.field in _LIMITS and not place.letter for place in places)
    fields = {place.field for place in places if letters or not place.letter}
    missing = [field for field in ("camera_id", "latitude", "longitude") if field not in fields]
    if missing:
        known = "; ".join(f"{field} may be called {', '.join(ALIASES[field])}" for field in missing)
        why = f"; {_DEGREES_ONLY}" if PROJECTED & set(names) or not letters else ""
        raise UnreadableFile(f"the first line names no column for {', '.join(missing)} ({known}){why}")


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
