"""Reads what area counters send: checks it, and brings it to one form.

Which fields there are beyond those of the contract, and which of them a message must have, follows from the columns
that are configured (`trafficapp.settings.areas`). Whether a message is accepted follows from its record alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import lru_cache
from hashlib import blake2b
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, defstruct

from models.areas.messages import AreaMessage
from models.areas.readings import AreaReading
from models.cameras.detections import Rejected, event_time_us
from models.form import read_form
from models.text_numbers import number, whole_number
from models.timestamps import from_epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.places import check_place
from trafficapp.settings.areas import AREA_COLUMNS, AreaColumnType, AreaSettings
from trafficapp.settings.city import Bounds

_WHOLE, _LARGE = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)], Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
#: What a field of a configured column may be; texts that say more are looked at in `AreaReader._more`.
_TYPES: Final[dict[AreaColumnType, Any]] = {
    "text": str,
    "timestamptz": str | int | float,
    "double precision": float,
    "integer": _WHOLE,
    "bigint": _LARGE,
    "boolean": bool,
    "uuid": str,
    "jsonb": Any,
    "double precision[]": list[float | None],
}
_NUMBERS: Final[dict[str, Callable[[Any], Any]]] = {
    "longitude": number,
    "latitude": number,
    "total_in_area": whole_number,
    "numbers_of_cars": whole_number,
    "estimated_max_people": whole_number,
}
_NUMBER_TYPES: Final[dict[str, Callable[[Any], Any]]] = {
    "double precision": number,
    "integer": whole_number,
    "bigint": whole_number,
}
_TEXTS = ("stream_id", "location", "label", "type")

#: A UUID with dashes or without; Python's own reader takes dashes anywhere.
_IS_UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch
#: The offset that a text of ISO 8601 ends with.
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?$").search
#: Characters that a date has before its time; an offset stands behind them.
_DATE_CHARACTERS = 8
_MINUTE_US, _DAY_US = 60_000_000, 86_400_000_000

_encode = msgspec.json.Encoder().encode


class ReadArea(NamedTuple):
    """A message that was accepted.

    Attributes:
        message: what it says, in one form.
        time_us: when it happened, microseconds since the epoch.
    """

    message: AreaReading
    time_us: int


class AreaReader:
    """Decides which messages of area counters are accepted.

    Args:
        settings: columns, zone, and how far ahead of its record a reading may be.
        bounds: of the city; None is the world.

    Raises:
        UnknownZone: the zone is none.
    """

    def __init__(self, settings: AreaSettings, bounds: Bounds | None = None) -> None:
        self._bounds = bounds
        self._zone = time_zone(settings.time_zone)
        self._future_us = None if settings.future_seconds is None else round(settings.future_seconds * 1e6)
        more = settings.more_columns
        self._more_names = tuple(more)
        self._more_times = tuple(name for name, kind in more.items() if kind == "timestamptz")
        self._more_ids = tuple(name for name, kind in more.items() if kind == "uuid")
        self._numbers = _NUMBERS | {name: _NUMBER_TYPES[kind] for name, kind in more.items() if kind in _NUMBER_TYPES}
        self._texts = (*_TEXTS, *(name for name, kind in more.items() if kind == "text"))
        self._never_null = tuple(
            name for name in settings.conflict if name not in ("stream_id", "timestamp", "day_month_year")
        )
        fields = [(name, _TYPES[kind] | None, None) for name, kind in more.items()]
        self._form: type[AreaMessage] = (
            defstruct("AreaForm", fields, bases=(AreaMessage,), kw_only=True, frozen=True)  # type: ignore[assignment]
            if fields
            else AreaMessage
        )
        self._decode = msgspec.json.Decoder(self._form).decode

    def check(self, key: bytes | None, value: bytes | None, record_us: int) -> ReadArea:
        """Read a record; its key may be any.

        Args:
            key: of the record.
            value: of the record.
            record_us: the record's own time, microseconds since the epoch.

        Raises:
            Rejected: it cannot be read, or cannot be true; with the reason for the dead letter.
        """
        told = read_form(value, self._form, self._decode, self._texts, self._forgive)
        stream_id = _uuid("stream_id", told.stream_id)
        time_us = self._time_us("timestamp", told.timestamp)
        if self._future_us is not None and time_us - record_us > self._future_us:
            raise Rejected(
                "future",
                f"timestamp {rfc3339(time_us)} is more than {self._future_us / 1e6:g} s ahead of the record's "
                f"{rfc3339(record_us)}",
            )
        if told.latitude is not None and told.longitude is not None:
            check_place(told.latitude, told.longitude, self._bounds)
        elif told.latitude is not None or told.longitude is not None:
            raise Rejected("invalid_field", "latitude and longitude belong together, and one of them is missing")
        more = self._more(told) if self._more_names else {}
        rest = (
            self._day(told.timestamp, time_us),
            told.location,
            told.longitude,
            told.latitude,
            _count(told),
            told.estimated_max_people,
            told.label,
            told.type,
            more,
        )
        time = rfc3339(time_us)
        reading = AreaReading(
            reading_id=_id_of(_encode((stream_id, time, rest))),
            stream_id=stream_id,
            timestamp=time,
            day_month_year=rest[0],
            location=told.location,
            longitude=told.longitude,
            latitude=told.latitude,
            total_in_area=rest[4],
            estimated_max_people=told.estimated_max_people,
            label=told.label,
            type=told.type,
            more=more,
        )
        for name in self._never_null:
            if value_of(reading, name) is None:
                raise Rejected("missing_field", f"{name} names the row, so it must be there")
        return ReadArea(reading, time_us)

    def _forgive(self, message: dict[str, Any]) -> None:
        """Numbers that were written as text."""
        for name, read in self._numbers.items():
            if name in message:
                try:
                    message[name] = read(message[name])
                except ValueError as error:
                    raise Rejected("invalid_field", f"{name}: {error}") from None

    def _more(self, told: AreaMessage) -> dict[str, Any]:
        """The fields of this installation; those that are null are left out."""
        more = {name: value for name in self._more_names if (value := getattr(told, name)) is not None}
        for name in self._more_times:
            if name in more:
                more[name] = rfc3339(self._time_us(name, more[name]))
        for name in self._more_ids:
            if name in more:
                more[name] = _uuid(name, more[name])
        return more

    def _time_us(self, name: str, told: Any) -> int:
        try:
            return event_time_us(told, self._zone)
        except (ValueError, OverflowError, TypeError):
            raise Rejected(
                "invalid_timestamp",
                f"{name} {str(told)[:64]!r} is neither ISO 8601 nor epoch seconds or milliseconds",
            ) from None

    def _day(self, told: Any, time_us: int) -> str:
        """The day where the counter stands: by the offset that it says, where that is another than UTC's."""
        found = _OFFSET(told.rstrip(), _DATE_CHARACTERS) if isinstance(told, str) else None
        offset_us = 0
        if found is not None:
            offset_us = (int(found[2]) * 60 + int(found[3] or 0)) * _MINUTE_US * (-1 if found[1] == "-" else 1)
        if not offset_us and self._zone is not UTC:
            offset_us = _offset_us(self._zone, time_us)
        return _day_text((time_us + offset_us) // _DAY_US)


def value_of(reading: AreaReading, name: str) -> Any:
    """What a reading says for a column of that name; None when it says nothing."""
    return getattr(reading, name) if name in AREA_COLUMNS else reading.more.get(name)


def _count(told: AreaMessage) -> int | None:
    """How many there are, under the newer name or the older.

    Raises:
        Rejected: neither is there.
    """
    if told.total_in_area is not UNSET and told.total_in_area is not None:
        return told.total_in_area
    if told.numbers_of_cars is not UNSET:
        return told.numbers_of_cars
    if told.total_in_area is UNSET:
        raise Rejected("missing_field", "Object missing required field `total_in_area`")
    return None


def _uuid(name: str, told: str) -> str:
    text = told.strip()
    if not _IS_UUID(text):
        raise Rejected("invalid_field", f"{name} {told[:64]!r} is no UUID")
    text = text.lower()
    if len(text) == 32:
        text = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return text


def _id_of(content: bytes) -> str:
    """A UUID of its own version, 8 (RFC 9562, section 5.8), that follows from the content."""
    digits = blake2b(content, digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _offset_us(zone: tzinfo, time_us: int) -> int:
    offset = from_epoch_us(time_us).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1e6)


@lru_cache(maxsize=1024)
def _day_text(days: int) -> str:
    """``DD_MM_YYYY`` of a number of days since the epoch."""
    return f"{from_epoch_us(days * _DAY_US):%d_%m_%Y}"
