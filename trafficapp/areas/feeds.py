"""The feeds of area counters: two topics of one form, and the checked readings that come of both.

``traffic_data`` is what counters send themselves, ``ws_incoming`` what comes through the WebSocket ``/ws``, and what
older installations write. Producers use any key and partition; checked readings stand by their stream in a topic here.
"""

from __future__ import annotations

from models.areas.messages import AreaMessage
from models.areas.readings import AreaReading
from trafficapp.areas.reading import AreaReader
from trafficapp.feeds.declaration import Check, Column, Convert, Current, Feed, History, Sends
from trafficapp.settings import Settings

#: How long an area without a newer reading counts as known; counters send one in some seconds.
CURRENT_SECONDS = 3600

_NOON = "2026-01-14T12:00:00Z"
_TEXT, _REAL, _WHOLE, _UUID = Column("text"), Column("double precision"), Column("integer"), Column("uuid")


def area_readings(settings: Settings) -> str:
    """The inner topic of checked readings."""
    return f"{settings.app_id}-area-readings"


def _checks(settings: Settings) -> Check:
    return AreaReader(settings.areas, settings.city.bounds).check


def _by_stream(_: Settings) -> Convert:
    return lambda reading, _: [(reading.stream_id, reading)]


_STREAM_ID = "5b0f5a34-8a2c-4c55-9d4e-2f4f1a7f6a10"
_MESSAGE = AreaMessage(
    stream_id=_STREAM_ID,
    timestamp=_NOON,
    location="Piazza Maggiore",
    longitude=11.3430,
    latitude=44.4938,
    total_in_area=12,
    estimated_max_people=40,
    label="normal",
    type="car",
)

#: ``area:{stream_id}:current``: `AreaReading` as JSON.
AREA_DOCUMENTS = Current(
    document="area:{key}:current", listed="areas:known", seconds=CURRENT_SECONDS, channel="areas:readings"
)

AREAS = Feed(
    name="areas",
    summary="Checked readings of area counters.",
    topic=area_readings,
    shape=AreaReading,
    sample=AreaReading(
        reading_id="0b7f0f0e-3f4e-8a39-a1a9-6f0d5e2a4c11",
        stream_id=_STREAM_ID,
        timestamp=_NOON,
        day_month_year="14_01_2026",
        location="Piazza Maggiore",
        longitude=11.3430,
        latitude=44.4938,
        total_in_area=12,
        estimated_max_people=40,
        label="normal",
        type="car",
    ),
    key="stream_id",
    # what is too far ahead was refused before
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    current=AREA_DOCUMENTS,
    history=History(
        table="area_readings",
        columns={
            "stream_id": _UUID,
            "read_at": Column("timestamptz", of="timestamp"),
            "reading_id": _UUID,
            "day_month_year": _TEXT,
            "location": _TEXT,
            "longitude": _REAL,
            "latitude": _REAL,
            "total_in_area": _WHOLE,
            "estimated_max_people": _WHOLE,
            "label": _TEXT,
            "type": _TEXT,
            "more": Column("jsonb"),
        },
        key=("stream_id", "read_at", "reading_id"),
        partitioned_by="read_at",
        days=lambda settings: settings.areas.readings_days,
    ),
    path="/api/areas",
)

AREA_DATA = Feed(
    name="area-counters",
    summary="Counts of vehicles in areas, as their counters send them.",
    topic="traffic_data",
    shape=AreaMessage,
    sample=_MESSAGE,
    key="stream_id",
    sends=Sends(to=AREAS, messages=_by_stream),
    checks=_checks,
)

AREA_INCOMING = Feed(
    name="area-counters-incoming",
    summary="The same under the name that older installations use, and what comes through the WebSocket /ws.",
    topic="ws_incoming",
    shape=AreaMessage,
    sample=_MESSAGE,
    key="stream_id",
    sends=Sends(to=AREAS, messages=_by_stream),
    checks=_checks,
)
