"""What is remembered of runs as rows of a changelog: one for each vehicle, piece of way, line and stop."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from models.timetables.runs import RunName
from trafficapp.timetables.following import Run
from trafficapp.timetables.headways import Regularity, Visit
from trafficapp.timetables.live.alerts import AlertName, OpenAlert, RunAlerts, SpacingInARow
from trafficapp.timetables.missed import Awaited
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.remembered import Remembered
from trafficapp.timetables.travel_times import Lately, Mean, Segment

_CITY_KEY = b"city"
_RUN_PREFIX, _ALERT_PREFIX = b"run/", b"alert/"


class City(Struct):
    """What is remembered of all runs together.

    Attributes:
        version: of the timetable that all of it is of.
        read_us: of each partition of vehicles' places, up to when all that had come was read.
        heard_s: when somebody was heard of last.
        judged_s: up to when runs were looked at that should have begun.
        spread: of travel times, everywhere.
        everywhere: by how much everything takes longer.
    """

    version: str
    read_us: list[int]
    heard_s: float
    judged_s: float
    spread: Mean
    everywhere: Lately


class _Table(NamedTuple):
    """Rows of one kind."""

    prefix: bytes
    key: Any
    row: Any
    values: Remembered[Any, Any]


_encode = msgspec.msgpack.Encoder().encode


def _tables(operations: Operations, alerts: RunAlerts) -> list[_Table]:
    times, headways, missed = operations.travel_times, operations.headways, operations.missed
    line, pair = tuple[str, int | None], tuple[str, str]
    return [
        _Table(_ALERT_PREFIX, AlertName, OpenAlert, alerts.open),
        _Table(b"begun/", RunName, int, operations.begun),
        _Table(b"dwell/", str, Mean, times.dwells),
        _Table(b"missed/", RunName, int, missed.missed),
        _Table(b"regularity/", line, Regularity, headways.regularity),
        _Table(_RUN_PREFIX, str, Run, operations.runs),
        _Table(b"segment/", pair, Segment, times.segments),
        _Table(b"spacing/", RunName, SpacingInARow, alerts.spacing),
        _Table(b"start/", line, Mean, operations.predictions.starts),
        _Table(b"visit/", tuple[str, int | None, str], Visit, headways.last),
        _Table(b"waiting/", RunName, Awaited, missed.waiting),
    ]


def restore(operations: Operations, alerts: RunAlerts, rows: Mapping[bytes, bytes]) -> City | None:
    """Put in what was to be remembered; what is of the city, None when nothing was.

    Raises:
        msgspec.MsgspecError: rows are none of ours.
    """
    tables = {
        table.prefix: (
            msgspec.msgpack.Decoder(table.key).decode,
            msgspec.msgpack.Decoder(table.row).decode,
            table.values,
        )
        for table in _tables(operations, alerts)
    }
    for key, row in rows.items():
        if key == _CITY_KEY:
            continue
        prefix, slash, rest = key.partition(b"/")
        read_key, read_row, values = tables[prefix + slash]
        values.restore(read_key(rest), read_row(row))
    if _CITY_KEY not in rows:
        return None
    city = msgspec.msgpack.decode(rows[_CITY_KEY], type=City)
    operations.travel_times.spread, operations.travel_times.everywhere = city.spread, city.everywhere
    operations.missed.heard_s, operations.missed.judged_s = city.heard_s, city.judged_s
    return city


def erase(operations: Operations, alerts: RunAlerts, vehicle_ids: Collection[str]) -> None:
    """Forget vehicles and alerts about them; that their runs have begun names nobody and stays."""
    for vehicle_id in vehicle_ids:
        operations.runs.forget(vehicle_id)
    for name in [name for name in alerts.open if name[2] in vehicle_ids]:
        alerts.open.forget(name)


def keys_of(rows: Mapping[bytes, bytes], vehicle_ids: Collection[str]) -> list[bytes]:
    """Keys of the rows that name vehicles, for who has them but not read."""
    found = []
    for key in rows:
        if key.startswith(_RUN_PREFIX):
            named = msgspec.msgpack.decode(key.removeprefix(_RUN_PREFIX), type=str)
        elif key.startswith(_ALERT_PREFIX):
            named = msgspec.msgpack.decode(key.removeprefix(_ALERT_PREFIX), type=AlertName)[2]
        else:
            continue
        if named in vehicle_ids:
            found.append(key)
    return found


def changed_rows(operations: Operations, alerts: RunAlerts, read_us: list[int]) -> Iterator[tuple[bytes, bytes | None]]:
    """What changed since the last call; None for what is gone."""
    for table in _tables(operations, alerts):
        for key, value in table.values.take_changed():
            yield table.prefix + _encode(key), None if value is None else _encode(value)
    times, missed = operations.travel_times, operations.missed
    version = operations.schedule.timetable.version
    city = City(version, read_us, missed.heard_s, missed.judged_s, times.spread, times.everywhere)
    yield _CITY_KEY, _encode(city)
