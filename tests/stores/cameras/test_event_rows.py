"""Rows of detections: as tuples, and as COPY takes them."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from tests.stores.postgres.fixtures import Connection, MakeSink
from tests.stores.postgres.records import event, owned, record
from trafficapp.settings import Settings
from trafficapp.stores.cameras import event_rows
from trafficapp.stores.cameras.event_rows import COLUMNS, EventRows
from trafficapp.windows.rules import acceptance_of

CASES: tuple[dict[str, Any], ...] = (
    {},
    {"lane_id": 3, "speed_estimate": 41.7},
    {"lane_id": 32_767},
    {"speed_estimate": 0.0, "class": "truck"},
    {"centroid": {"x": 1.5, "y": 2.25}, "lane_id": 0, "speed_estimate": 7},
    {"vehicle_id": "é\0 🚗", "frame_id": 2**53},
    {"bbox": {"x": 0, "y": 0.1, "w": 1e-9, "h": 123456.789}},
)


async def test_copied_rows_are_the_same_as_tuples(
    events_sink: MakeSink, database: Connection, settings: Settings
) -> None:
    records = [event(offset, **case) for offset, case in enumerate(CASES * 2)]
    records.append(record(len(records), b"no message"))
    sink = events_sink()
    await sink.load([0])
    await sink.apply(0, records, owned)
    assert (sink.counters.rows, sink.counters.unreadable, sink.counters.unstorable) == (len(CASES) * 2, 1, 0)
    names = ", ".join(COLUMNS)
    copied = await database.fetch(f"SELECT {names} FROM traffic_events")  # noqa: S608
    rows, _ = EventRows(acceptance_of(settings)).rows(records)
    await database.execute("TRUNCATE traffic_events")
    await database.set_type_codec("timestamptz", schema="pg_catalog", encoder=tuple, decoder=tuple, format="tuple")
    await database.copy_records_to_table("traffic_events", records=rows, columns=list(COLUMNS))
    await database.reset_type_codec("timestamptz", schema="pg_catalog")
    assert copied == await database.fetch(f"SELECT {names} FROM traffic_events")  # noqa: S608
    assert len(copied) == len(CASES) * 2


def test_what_fits_no_column_is_left_to_postgres(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise struct.error("does not fit")

    rows = EventRows(acceptance_of(settings))
    records = [event(0), event(1, lane_id=1, speed_estimate=5.0)]
    assert rows.batch(records)[0].copied is not None
    monkeypatch.setattr(event_rows, "_ALL", refuse)
    batch, _ = rows.batch(records)
    assert (batch.count, batch.copied, len(batch.tuples())) == (2, None, 2)
