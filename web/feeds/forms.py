"""Documents of a feed in the forms in which people and programs take lists: JSON, CSV, GeoJSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from models.plain_text import no_formula
from trafficapp.feeds.declaration import Feed
from trafficapp.stores.redis.documents import readable

Form: TypeAlias = Literal["json", "csv", "geojson"]

CONTENT_TYPES: dict[Form, str] = {"json": "application/json", "csv": "text/csv", "geojson": "application/geo+json"}

#: Latitude and longitude of a message, degrees; None where it tells none.
PlaceOf: TypeAlias = Callable[[Any], tuple[float, float] | None]


def place_of(feed: Feed[Any]) -> PlaceOf | None:
    """Where messages of a feed are of; None when they do not say."""
    if feed.place is not None:
        return feed.place
    if {"latitude", "longitude"} <= set(feed.shape.__struct_fields__):
        return _told_place
    return None


def in_form(form: Form, feed: Feed[Any], documents: Sequence[bytes]) -> bytes:
    """A list of documents in a form.

    Args:
        form: which.
        feed: they are of.
        documents: JSON objects; in other forms, those that are none of the feed are left out.
    """
    if form == "json":
        return b"[" + b",".join(documents) + b"]"
    messages = readable(documents, msgspec.json.Decoder(feed.shape).decode, feed.name)
    return _as_csv(feed.shape, messages) if form == "csv" else _as_geojson(feed, messages)


def _told_place(message: Any) -> tuple[float, float] | None:
    if message.latitude is None or message.longitude is None:
        return None
    return message.latitude, message.longitude


def _as_csv(shape: type[Struct], messages: Iterable[Struct]) -> bytes:
    """RFC 4180: a header line, then a line each; what has parts is JSON, what is null or left out empty."""
    lines = ([_cell(getattr(message, name)) for name in shape.__struct_fields__] for message in messages)
    return csv_lines([shape.__struct_encode_fields__, *lines])


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """Lines as RFC 4180 has them; None is an empty cell, and no text is a formula."""
    text = io.StringIO(newline="")
    lines = ([no_formula(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


def _cell(value: Any) -> str | float | None:
    if value is UNSET:
        return None
    if value is None or isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return msgspec.json.encode(value).decode().strip('"')


def _as_geojson(feed: Feed[Any], messages: Iterable[Struct]) -> bytes:
    """RFC 7946: a collection of points; what has no place has a null geometry."""
    place_in = place_of(feed) or (lambda _: None)
    features = []
    for message in messages:
        place = place_in(message)
        geometry = None if place is None else {"type": "Point", "coordinates": [place[1], place[0]]}
        features.append({"type": "Feature", "geometry": geometry, "properties": message})
    return msgspec.json.encode({"type": "FeatureCollection", "features": features})
