"""Riders as feeds: taps come in, each goes to its two zones; windows and surges of zones come out."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from models.city_alerts import alert_id_of
from models.riders.taps import RiderTap, ZoneTap
from models.riders.windows import RiderWindow, SurgeAlert
from models.text_numbers import number
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.feeds.declaration import Column, Convert, Current, Feed, History, Origin, Sends
from trafficapp.feeds.rules import Rules
from trafficapp.riders.cells import cell_of, station_zone
from trafficapp.riders.surges import make_rules
from trafficapp.riders.telling import RIDER_TAPS, RIDER_WINDOWS, SURGE_ALERTS
from trafficapp.settings import Settings

_NOON = "2026-01-14T12:00:00Z"
_NOON_US = 1_768_392_000_000_000
_TEXT = Column("text")
_COUNT = Column("integer")
_REAL = Column("double precision")


def _place_of(tap: RiderTap) -> tuple[float, float]:
    latitude, longitude = tap.latitude, tap.longitude
    if type(latitude) is float and type(longitude) is float:
        return latitude, longitude
    return number(latitude), number(longitude)


def _zone_taps(settings: Settings) -> Convert:
    """What sends a tap to its cell and to its station: zones of two keys."""
    characters = settings.riders.geohash_characters

    def messages(tap: RiderTap, time_us: int, origin: Origin) -> Sequence[tuple[str, Struct]]:
        latitude, longitude = _place_of(tap)
        station_id = str(tap.station_id)
        cell, station = cell_of(latitude, longitude, characters), station_zone(station_id)
        told = (tap.event_id, time_us, station_id, latitude, longitude, origin.partition, origin.offset)
        return (cell, ZoneTap(cell, *told)), (station, ZoneTap(station, *told))

    return messages


RIDERS: Rules[ZoneTap] = Rules(
    name="riders",
    summary="Windows of cells and stations in which riders tap on, and surges.",
    key="zone",
    shape=ZoneTap,
    make=make_rules,
)

TAPS = Feed(
    name="rider-taps",
    summary="Riders who tap on at fare gates.",
    topic=RIDER_TAPS,
    shape=RiderTap,
    sample=RiderTap(
        event_id="8b6d4f0e-2b0c-4a53-9d0c-0a9d2b6c7f11",
        station_id="ST-01",
        latitude=44.5056,
        longitude=11.3430,
        timestamp=_NOON,
    ),
    key="event_id",
    personal=("rider_id",),
    zone=lambda settings: settings.riders.time_zone,
    future_seconds=lambda settings: settings.riders.future_guard_seconds,
    sends=Sends(to=RIDERS, messages=_zone_taps, with_origin=True),
    place=_place_of,
)

WINDOWS = Feed(
    name="rider-windows",
    summary="Finished windows of zones: riders who tapped on, and whether they were a surge.",
    topic=RIDER_WINDOWS,
    shape=RiderWindow,
    sample=RiderWindow(
        zone="srbj1",
        zone_kind="geohash",
        station_id=None,
        geohash="srbj1",
        window_start=_NOON,
        window_end="2026-01-14T12:01:00Z",
        tap_count=14,
        repeated=1,
        usual_taps=3.25,
        limit=10,
        is_surge=True,
        latitude=44.5,
        longitude=11.3,
    ),
    key="zone",
    time="window_start",
    future_seconds=lambda settings: settings.riders.future_guard_seconds,
    is_ours=True,
    current=Current(
        document="riders:zone:{key}:window", listed="riders:zones", seconds=3600, channel="riders:windows:told"
    ),
    history=History(
        table="rider_windows",
        columns={
            "zone": _TEXT,
            "zone_kind": _TEXT,
            "station_id": _TEXT,
            "geohash": _TEXT,
            "window_start": Column("timestamptz"),
            "window_end": Column("timestamptz"),
            "tap_count": _COUNT,
            "repeated": _COUNT,
            "usual_taps": _REAL,
            "surge_limit": Column("integer", of="limit"),
            "is_surge": Column("boolean"),
            "latitude": _REAL,
            "longitude": _REAL,
        },
        key=("zone", "window_start"),
        partitioned_by="window_start",
        days=lambda settings: settings.riders.keep_days,
    ),
    path="/api/riders/windows",
)

SURGES = alert_feed(
    SURGE_ALERTS,
    "Surges of riders in cells and at stations.",
    SurgeAlert,
    SurgeAlert(
        alert_id=alert_id_of("surge", "srbj1", _NOON_US),
        revision=0,
        alert_type="surge",
        state="opened",
        severity="WARNING",
        subject="srbj1",
        title="Surge of riders: geohash srbj1",
        message="11 riders tapped on in geohash srbj1 from 2026-01-14T12:00:00Z to 2026-01-14T12:01:00Z so far; more "
        "than 10 are a surge, 3.25 are usual",
        timestamp="2026-01-14T12:00:41Z",
        opened_at="2026-01-14T12:00:41Z",
        latitude=44.5,
        longitude=11.3,
        zone="srbj1",
        zone_kind="geohash",
        station_id=None,
        usual_taps=3.25,
        limit=10,
        geohash="srbj1",
        tap_count=11,
        window_start_ms=_NOON_US // 1000,
        window_end_ms=_NOON_US // 1000 + 60_000,
    ),
    "/api/riders/surges",
)
