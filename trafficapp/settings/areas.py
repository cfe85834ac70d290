"""The settings about area counters; part of `trafficapp.settings`."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section

#: What a column may be, as Postgres names it.
AreaColumnType: TypeAlias = Literal[
    "text",
    "timestamptz",
    "double precision",
    "integer",
    "bigint",
    "boolean",
    "uuid",
    "jsonb",
    "double precision[]",
]

#: Columns of ``traffic_data`` that a reading fills, in the order of the contract's section 4.
AREA_COLUMNS: dict[str, AreaColumnType] = {
    "stream_id": "uuid",
    "timestamp": "timestamptz",
    "day_month_year": "text",
    "location": "text",
    "longitude": "double precision",
    "latitude": "double precision",
    "total_in_area": "integer",
    "estimated_max_people": "integer",
    "label": "text",
    "type": "text",
}

#: Columns of the same table that are completed later, from the place.
ADDRESS_COLUMNS = ("fulladdress", "city", "province", "address_source", "address_distance_m")

#: When a row was made, the id of a reading, an older name for ``total_in_area``, and where other fields stand.
_TAKEN = frozenset({"created_at", "reading_id", "numbers_of_cars", "more"})

_IS_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}").fullmatch

#: Every table of Postgres has these.
_SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid"})


def wrong_column_name(name: str) -> str | None:
    """What is wrong with the name of a column of ``traffic_data``; None when nothing is."""
    if not _IS_NAME(name):
        return f"{name[:64]!r} is no name of a column: up to 63 small letters, digits and _, not a digit first"
    if name in _SYSTEM_COLUMNS:
        return f"{name} is a column that Postgres itself has"
    if name in ADDRESS_COLUMNS:
        return f"{name} is completed from the place and cannot be filled by a reading"
    if name in _TAKEN:
        return f"{name} is taken"
    return None


class AreaSettings(Section):
    """Area counters: what their readings may say, how they are kept, and their WebSocket."""

    time_zone: str = Field(
        "UTC", description="Zone of times without an offset, as IANA names it; day_month_year is of it, too, unless a "
        "time says another offset."
    )  # fmt: skip
    future_seconds: float | None = Field(
        86_400.0,
        ge=0,
        description="A reading further ahead of its record is refused: else one wrong clock would keep a stream's row "
        "from all that follow. A day, since a local time that was sent as UTC is half of one ahead at most; none "
        "refuses nothing.",
    )
    columns: dict[str, AreaColumnType] = Field(
        AREA_COLUMNS,
        description="Columns of traffic_data that readings fill, all of them, each from the field of its name. "
        "`trafficapp areas add-column` adds one to the table.",
    )
    conflict: tuple[str, ...] = Field(
        ("stream_id",), min_length=1, description="Columns that name a row; a message without one of them is refused."
    )
    update: tuple[str, ...] | None = Field(
        None, description="Columns that a newer reading replaces; all but those above unless given."
    )
    readings_days: float = Field(90.0, gt=0, description="Days that every reading is kept in area_readings.")

    ingest_needs_token: bool = Field(
        False,
        description="Whether /ws takes readings only from callers with the role operator. Off, since area counters "
        "send no token and servers listen on 127.0.0.1 unless told otherwise.",
    )
    ingest_message_bytes: int = Field(
        16_384, ge=1024, le=1 << 20, description="Longest message that /ws reads; a reading has some hundred bytes."
    )
    ingest_messages_per_second: float = Field(
        100.0, gt=0, description="Messages a second of one client of /ws; a faster one is read more slowly."
    )
    ingest_burst: int = Field(200, ge=1, description="Messages that one client of /ws may send at once.")
    ingest_unanswered: int = Field(
        64, ge=1, le=4096, description="Messages of one client of /ws that wait for Kafka at once, at most."
    )
    ingest_answer_seconds: Seconds = Field(
        10.0, description="A message that Kafka has not acknowledged by then is answered with an error."
    )
    listen_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="So long a new client of /ws is listened to before it is told of vehicles, so that who sends at "
        "once hears its answers only.",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Asia/Ho_Chi_Minh") from None
        return zone

    @field_validator("columns")
    @classmethod
    def _are_columns(cls, columns: dict[str, AreaColumnType]) -> dict[str, AreaColumnType]:
        for name, kind in columns.items():
            if wrong := wrong_column_name(name):
                raise ValueError(wrong)
            if kind != AREA_COLUMNS.get(name, kind):
                raise ValueError(f"{name} is {AREA_COLUMNS[name]}, not {kind}")
        if "timestamp" not in columns:
            raise ValueError("timestamp must be there: it says which reading is newer")
        return columns

    @model_validator(mode="after")
    def _columns_are_there(self) -> AreaSettings:
        for setting, names in (("conflict", self.conflict), ("update", self.update or ())):
            if unknown := [name for name in names if name not in self.columns]:
                raise ValueError(f"{setting} names {unknown[0]}, which is not among columns")
            if len(set(names)) < len(names):
                raise ValueError(f"{setting} names a column twice")
        if both := set(self.update or ()) & set(self.conflict):
            raise ValueError(f"{min(both)} names a row, so it cannot be in update")
        if self.update is not None and "timestamp" not in (*self.update, *self.conflict):
            raise ValueError("update must have timestamp: it says which reading is newer")
        return self

    @property
    def more_columns(self) -> dict[str, AreaColumnType]:
        """Columns beyond those of the contract."""
        return {name: kind for name, kind in self.columns.items() if name not in AREA_COLUMNS}

    @property
    def updated(self) -> tuple[str, ...]:
        """Columns that a newer reading replaces."""
        if self.update is not None:
            return self.update
        return tuple(name for name in self.columns if name not in self.conflict)
