"""Finished windows on disk: filed by camera and lane, read on where they stopped, rebuilt when damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.windows import TumblingWindow
from rocksdict import Rdict

from models.cameras.window_rows import WindowRow, decode_window_row, encode_window_row
from models.timestamps import rfc3339
from tests.stores.bad_values import bad_values
from trafficapp.engine.finished import FinishedSink, FinishedStore, FinishedTable, lane_name, row_key
from trafficapp.engine.state_rows import UNTOLD, SourceLog

START_US = 1_768_374_000_000_000
SIZE_US = 5_000_000


@dataclass
class Record:
    """What the sink reads of a Kafka record."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    timestamp: int = START_US // 1000
    headers: tuple[tuple[str, bytes], ...] = ()


def row(camera_id: str, window: int, lane_id: int | None = None, vehicles: int = 1) -> WindowRow:
    start_us = START_US + window * SIZE_US
    return WindowRow(
        camera_id=camera_id,
        window_start=rfc3339(start_us),
        window_end=rfc3339(start_us + SIZE_US),
        lane_id=lane_id,
        vehicle_count=vehicles,
        counts_by_class={"car": vehicles},
        avg_speed_kmh=None,
        stopped_ratio=None,
        queue_length=0,
        congestion_level="UNKNOWN",
        congestion_score=None,
        detections=vehicles,
    )


class Place:
    """A worker's folder with both tables and the sink that fills them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        app = faust.App("finished-test", broker="kafka://127.0.0.1:9", store="memory://", datadir=str(folder))
        self.cameras: FinishedStore = FinishedTable(app, name="camera_windows").data
        self.lanes: FinishedStore = FinishedTable(app, name="lane_windows").data
        self.sink = FinishedSink(lambda: self.folder, self.cameras, self.lanes, self._offset_of_time, self._end_offsets)
        self.asked: list[tuple[list[int], float]] = []
        self.offset = 0
        self.end = 1_000_000

    async def _end_offsets(self, partitions: Collection[int]) -> dict[int, int]:
        return dict.fromkeys(partitions, self.end)

    async def _offset_of_time(self, partitions: Collection[int], epoch_seconds: float) -> dict[int, int]:
        self.asked.append((list(partitions), epoch_seconds))
        return dict.fromkeys(partitions, 700)

    async def file(self, *rows: WindowRow | bytes | None, partition: int = 0) -> None:
        values = [encode_window_row(one) if isinstance(one, WindowRow) else one for one in rows]
        records: Any = [Record(self.offset + number, value) for number, value in enumerate(values)]
        await self.sink.apply(partition, records, lambda: True)
        self.offset += len(records)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "tables")
    yield place
    place.sink.release([0, 1, 2])


async def test_rows_are_filed_by_camera_and_by_lane(place: Place) -> None:
    await place.sink.load([0, 1])
    # windows whose packed starts differ in every byte, the last of them a NUL
    windows = [0, 3, 256, 70_000, -200]
    await place.file(*(row("cam_1", window, vehicles=abs(window)) for window in windows))
    await place.file(*(row("cam_1", window, 2, vehicles=7) for window in windows[:2]))
    await place.file(row("cam_2", 1), partition=1)

    counts = [decode_window_row(value).vehicle_count for value in place.cameras.newest_first("cam_1")]
    assert counts == [70_000, 256, 3, 0, 200]
    newest = place.cameras.newest("cam_1")
    assert newest is not None
    assert decode_window_row(newest) == row("cam_1", 70_000, vehicles=70_000)
    assert place.cameras.at("cam_1", START_US + 3 * SIZE_US) == encode_window_row(row("cam_1", 3, vehicles=3))
    assert place.cameras.at("cam_1", START_US + 4 * SIZE_US) is None
    assert len(list(place.lanes.newest_first(lane_name("cam_1", 2)))) == 2
    assert place.lanes.newest("cam_1") is None
    assert (place.cameras.names(), place.lanes.names()) == (["cam_1", "cam_2"], ["cam_1/2"])
    assert (len(place.cameras), len(place.lanes)) == (6, 2)


async def test_current_is_the_newest_window_with_its_own_lanes_in_order(place: Place) -> None:
    await place.sink.load([0, 1])
    lanes = (10, 2, 0)
    await place.file(*(row("cam_1", 5, lane) for lane in (*lanes, 3)), row("cam_1", 5))
    await place.file(*(row("cam_1", 6, lane) for lane in lanes), row("cam_1", 6))
    await place.file(row("cam_0", 9), partition=1)
    right = [row("cam_1", 6, lane) for lane in (None, 0, 2, 10)]

    assert place.sink.current("cam_1") == right
    assert place.sink.current(None) == [row("cam_0", 9), *right]
    assert place.sink.current("cam_2") == []


async def test_names_that_begin_alike_are_kept_apart(place: Place) -> None:
    names = [
        "a",
        "a/b",
        "a/1",
        "cam_1",
        "cam_10",
        "cam_1 ",
        "cåm_1/ü",
        "cam",
        "🚦",
        "\x01",
        "a\x00",
        "a\x00b",
        "cam\x00\x7f",
    ]
    await place.sink.load([0])
    for number, name in enumerate(names):
        await place.file(row(name, 0, vehicles=number), row(name, 0, 1, vehicles=number))
        await place.file(row(name, number, vehicles=number), row(name, number, 1, vehicles=number))

    for number, name in enumerate(names):
        right = [row(name, number, lane, vehicles=number) for lane in (None, 1)]
        assert place.sink.current(name) == right, name
        assert len(list(place.cameras.newest_first(name))) == (1 if number == 0 else 2), name
    assert place.cameras.names() == sorted(names, key=lambda name: name.replace("\x00", chr(0x10FFFF)).encode())
    everything = place.sink.current(None)
    assert [one.camera_id for one in everything[::2]] == sorted(names)
    assert len(everything) == 2 * len(names)


async def test_lanes_of_another_camera_do_not_show_in_the_same_window(place: Place) -> None:
    await place.sink.load([0])
    for name in ("a", "a/b", "a/1"):
        await place.file(row(name, 4), row(name, 4, 1))

    assert place.sink.current("a") == [row("a", 4), row("a", 4, 1)]


async def test_reading_goes_on_behind_the_last_row(place: Place) -> None:
    place.cameras.keep_seconds = 1000.0
    assert await place.sink.load([0, 2]) == {0: 700, 2: 700}
    await place.file(row("cam_1", 0), row("cam_1", 0, 1), b"garbage")
    place.sink.release([0, 2])
    again = Place(place.folder)
    try:
        assert await again.sink.load([0, 2]) == {0: 3, 2: 700}
        assert [partitions for partitions, _ in again.asked] == [[2]]
        assert again.sink.current("cam_1") == [row("cam_1", 0), row("cam_1", 0, 1)]
    finally:
        again.sink.release([0, 2])


async def test_what_a_killed_process_had_in_memory_is_read_again(place: Place, tmp_path: Path) -> None:
    await place.sink.load([0, 1])
    await place.file(row("cam_1", 0), row("cam_1", 0, 1))
    place.sink.release([0])
    await place.sink.load([0])
    await place.file(row("cam_1", 1), row("cam_1", 1, 1))
    # what is on the disk now is what a killed process leaves
    left = Place(shutil.copytree(place.folder, tmp_path / "left"))
    try:
        assert await left.sink.load([0, 1]) == {0: 2, 1: 700}
        assert left.sink.current("cam_1") == [row("cam_1", 0), row("cam_1", 0, 1)]
        left.offset = 2
        await left.file(row("cam_1", 1), row("cam_1", 1, 1))
        assert left.sink.current("cam_1") == place.sink.current("cam_1") == [row("cam_1", 1), row("cam_1", 1, 1)]
    finally:
        left.sink.release([0, 1])


async def test_an_empty_table_begins_as_far_back_as_windows_are_kept(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.cameras.keep_seconds = 1000.0
    monkeypatch.setattr("trafficapp.engine.finished.time.time", lambda: 5000.0)
    await place.sink.load([1])
    assert place.asked == [([1], 4000.0)]


async def test_what_is_no_window_is_skipped(place: Place) -> None:
    await place.sink.load([0])
    half = b'{"camera_id":"cam_1","window_start":"2026-01-14T07:00:30Z"}'
    no_time = encode_window_row(row("cam_1", 9)).replace(row("cam_1", 9).window_start.encode(), b"soon")
    await place.file(row("cam_1", 0), b"", None, b"[]", b"\xff{", b'{"camera_id":7}', half, no_time, row("cam_1", 1))

    assert place.sink.current(None) == [row("cam_1", 1)]
    assert len(place.cameras) == 2


@pytest.mark.parametrize("table", ["camera_windows", "lane_windows"])
@pytest.mark.parametrize("damage", ["garbled", "gone"])
async def test_a_damaged_table_is_built_again(place: Place, table: str, damage: str) -> None:
    await place.sink.load([0])
    await place.file(row("cam_1", 0), row("cam_1", 0, 1))
    place.sink.release([0])
    if damage == "gone":
        shutil.rmtree(place.folder / f"{table}-0")
    else:
        for part in (place.folder / f"{table}-0").iterdir():
            if part.name.startswith(("MANIFEST", "CURRENT")):
                part.write_bytes(b"nonsense")

    # everything that is kept is read again, and both tables are whole
    assert await place.sink.load([0]) == {0: 700}
    await place.file(row("cam_1", 0), row("cam_1", 0, 1))
    assert place.sink.current("cam_1") == [row("cam_1", 0), row("cam_1", 0, 1)]


async def test_a_table_that_another_process_has_open_is_left_alone(place: Place) -> None:
    await place.sink.load([0])
    await place.file(row("cam_1", 0))
    with pytest.raises(Exception, match=r"(?i)lock"):
        await Place(place.folder).sink.load([0])
    assert place.sink.current("cam_1") == [row("cam_1", 0)]


async def test_fausts_view_of_a_table(place: Place) -> None:
    await place.sink.load([0, 1])
    written = row("cåm/1", 2)
    await place.file(written, row("cåm/1", 2, 3))
    store = place.cameras
    ((key, value),) = store.items()
    name, window = key

    assert (name, round(window[0] * 1e6)) == ("cåm/1", START_US + 2 * SIZE_US)
    assert window == TumblingWindow(5).ranges(window[0] + 3)[0]
    assert store._encode_key(key) == row_key(name, START_US + 2 * SIZE_US)
    assert store._decode_key(store._encode_key(key)) == key
    assert value == store[key] == json.loads(encode_window_row(written))
    assert key in store
    assert ("cåm", window) not in store
    assert list(store.keys()) == [key]
    with pytest.raises(TypeError):
        store[key] = value
    with pytest.raises(TypeError):
        del store[key]


async def test_a_reset_throws_the_rows_away(place: Place) -> None:
    await place.sink.load([0])
    await place.file(row("cam_1", 0))
    place.cameras.reset_state()
    assert await place.sink.load([0]) == {0: 700}
    assert place.sink.current(None) == []
    assert isinstance(place.cameras.databases[0], Rdict)


async def test_a_topic_that_was_made_anew_fills_the_tables_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await place.sink.load([0])
    await place.file(row("a", 1), row("a", 2))
    place.sink.release([0])

    place.end = 1

    assert await place.sink.load([0]) == {0: 700}
    assert place.sink.current("a") == []


async def test_no_value_stops_it_or_costs_its_neighbours(tmp_path: Path) -> None:
    place = Place(tmp_path)
    await place.sink.load([0])
    values = [value for _, value in bad_values(encode_window_row(row("strange", 0, 1)))]
    for begin in range(0, len(values), 50):
        await place.file(*values[begin : begin + 50], row(f"good-{begin}", 0))
        assert place.sink.current(f"good-{begin}") == [row(f"good-{begin}", 0)]
    place.sink.release([0])
    assert (await place.sink.load([0]))[0] == place.offset


async def test_a_topic_that_was_made_anew_and_has_outgrown_the_offset_is_read_from_the_recent_past(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path)
    before, after = SourceLog("before", 8), SourceLog("after", 8)
    # what was written before ids were kept agrees with any
    await place.sink.load([0, 1])
    await place.file(row("a", 0), row("a", 1))
    place.sink.release([0, 1])
    assert (await place.sink.load([0, 1], before))[0] == 2
    await place.file(row("a", 2))
    for log, start in ((before, 3), (UNTOLD, 3), (after, 700)):
        if log is after:
            await place.file(row("a", 3))
        place.sink.release([0, 1])
        assert (await place.sink.load([0, 1], log))[0] == start
    assert "made anew" in caplog.text
    assert place.sink.current("a") == []
    await place.file(row("a", 5))
    place.sink.release([0, 1])
    assert (await place.sink.load([0, 1], after))[0] == place.offset
    assert [len(store.items()) for store in (place.cameras, place.lanes)] == [1, 0]
