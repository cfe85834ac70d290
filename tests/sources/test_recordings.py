"""Recordings become messages in the order of event time, lap after lap."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.cameras.detections import Detection, DetectionDecoder, Frame
from trafficapp.settings import Settings
from trafficapp.sources.outgoing import Lap, Outgoing
from trafficapp.sources.recording import Recording, RecordingError
from trafficapp.sources.recordings import open_recording, play, slice_path

T0_MS = 1_768_374_000_000
DECODER = DetectionDecoder(Settings.model_fields["vehicle_classes"].default, 400.0)


def row(camera: str, seconds: float, vehicle: str = "v1", **fields: Any) -> dict[str, Any]:
    return {
        "camera_id": camera, "ts": T0_MS + round(seconds * 1000), "vehicle_id": vehicle, "class": "car",
        "frame_id": round(seconds), "confidence": 0.828, "bbox_x": 946.6, "bbox_y": 636.6, "bbox_w": 26.7,
        "bbox_h": 22.3, "lane_id": 1, "speed_kmh": 40.64, **fields,
    }  # fmt: skip


def parquet(path: Path, rows: list[dict[str, Any]], **types: pa.DataType) -> Path:
    table = pa.Table.from_pylist(rows)
    for name in ("confidence", "bbox_x", "bbox_y", "bbox_w", "bbox_h", "speed_kmh"):
        types.setdefault(name, pa.float32())
    for name, kind in types.items():
        index = table.schema.get_field_index(name)
        if index >= 0:
            table = table.set_column(index, name, table.column(index).cast(kind))
    pq.write_table(table, path)
    return path


def json_lines(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def values(recording: Recording, lap: Lap | None = None) -> list[dict[str, Any]]:
    return [json.loads(message.value or b"") for message in recording.messages(lap or Lap())]


def test_a_parquet_row_becomes_a_nested_detection(tmp_path: Path) -> None:
    recording = open_recording(parquet(tmp_path / "r.parquet", [row("cam_01", 1)]))
    (message,) = play(recording)
    assert (message.event_time_us, message.key, message.detections) == ((T0_MS + 1000) * 1000, b"cam_01", 1)
    assert json.loads(message.value or b"") == {
        "camera_id": "cam_01", "timestamp": T0_MS + 1000, "frame_id": 1, "vehicle_id": "v1", "class": "car",
        "confidence": 0.828, "bbox": {"x": 946.6, "y": 636.6, "w": 26.7, "h": 22.3},
        "centroid": {"x": 959.95, "y": 647.75}, "lane_id": 1, "speed_estimate": 40.64,
    }  # fmt: skip
    assert isinstance(DECODER.decode(message.value)[0], Detection)


IDS: dict[str, pa.DataType] = {
    "numbers": pa.int64(),
    "unsigned numbers": pa.uint16(),
    "floats": pa.float64(),
    "texts of a dictionary": pa.dictionary(pa.int8(), pa.string()),
    "numbers of a dictionary": pa.dictionary(pa.int32(), pa.int64()),
    "large texts": pa.large_string(),
    "bytes": pa.binary(),
}


@pytest.mark.parametrize("kind", IDS.values(), ids=IDS.keys())
@pytest.mark.parametrize("frames", [False, True])
def test_ids_of_any_type_are_sent_as_text(tmp_path: Path, kind: pa.DataType, frames: bool) -> None:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    is_text = not (pa.types.is_integer(values) or pa.types.is_floating(values))
    numbers = [7, 12, None]
    ids = pa.array(
        [None if one is None else str(one) if is_text else one for one in numbers], pa.string() if is_text else values
    )
    table = pa.Table.from_pylist([row("7", second) for second in (1, 1, 2)])
    for name in ("camera_id", "vehicle_id"):
        column = ids if name == "vehicle_id" else pa.array([ids[0].as_py()] * 3, ids.type)
        column = column.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else column.cast(kind)
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, tmp_path / "r.parquet")
    recording = open_recording(tmp_path / "r.parquet", cameras=["7"], frames=frames)
    for lap in (Lap(), Lap(1, 10_000_000, 5)):
        messages = list(recording.messages(lap))
        assert [message.key for message in messages] == [b"7"] * (2 if frames else 3)
        told = [json.loads(message.value or b"") for message in messages]
        assert {fields["camera_id"] for fields in told} == {"7"}
        parts = [part for fields in told for part in fields.get("detections", [fields])]
        suffix = "~2" if lap.number else ""
        assert [part["vehicle_id"] for part in parts] == [f"7{suffix}", f"12{suffix}", None]  # refused, not made up


def test_a_camera_without_a_name_is_sent_without_a_key(tmp_path: Path) -> None:
    recording = open_recording(parquet(tmp_path / "r.parquet", [row("a", 0), row("a", 1) | {"camera_id": None}]))
    assert [(message.key, json.loads(message.value or b"")["camera_id"]) for message in play(recording)] == [
        (b"a", "a"), (None, None),
    ]  # fmt: skip
    assert len(list(play(open_recording(tmp_path / "r.parquet", frames=True)))) == 2


@pytest.mark.parametrize(
    "time",
    ["2026-01-14T07:00:01Z", "2026-01-14T08:00:01.0009+01:00", "2026-01-14 07:00:01", "1768374001", 1_768_374_001,
     1_768_374_001_000, 1_768_374_001.0],
)  # fmt: skip
@pytest.mark.parametrize("coded", [False, True])
def test_times_of_any_form_are_read(tmp_path: Path, time: str | float, coded: bool) -> None:
    table = pa.Table.from_pylist([row("a", 1), row("a", 2)])
    other = "1768374000" if isinstance(time, str) else type(time)(1_768_374_000)
    column = pa.array([time, other])
    table = table.set_column(table.schema.get_field_index("ts"), "ts", column.dictionary_encode() if coded else column)
    pq.write_table(table, tmp_path / "r.parquet")
    messages = list(play(open_recording(tmp_path / "r.parquet")))
    assert [message.event_time_us for message in messages] == [T0_MS * 1000, (T0_MS + 1000) * 1000]
    assert [json.loads(message.value or b"")["timestamp"] for message in messages] == [T0_MS, T0_MS + 1000]


def test_rows_without_a_time_stand_at_the_end_and_are_sent_as_they_are(tmp_path: Path) -> None:
    rows = [row("b", 0) | {"ts": None}, row("b", 1) | {"ts": "yesterday"}, row("a", 2) | {"ts": "2026-01-14T07:00:02Z"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet")
    messages = list(play(open_recording(tmp_path / "r.parquet"), first_at_us=1_800_000_000_000_000))
    assert [message.key for message in messages] == [b"a", b"b", b"b"]
    assert {message.event_time_us for message in messages} == {1_800_000_000_000_000}
    stamps = [json.loads(message.value or b"")["timestamp"] for message in messages]
    assert stamps == [1_800_000_000_000, None, None]


def test_numbers_as_text_are_numbers(tmp_path: Path) -> None:
    text = {name: str(value) for name, value in row("a", 1).items() if name not in ("ts", "camera_id", "class")}
    pq.write_table(pa.Table.from_pylist([row("a", 1) | text]), tmp_path / "text.parquet")
    plain = open_recording(parquet(tmp_path / "r.parquet", [row("a", 1)]))
    assert values(open_recording(tmp_path / "text.parquet")) == values(plain)


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("frame_id", "first", "column frame_id cannot be read as a whole number"),
        ("frame_id", 1.5, "column frame_id cannot be read as a whole number"),
        ("bbox_x", "left", "column bbox_x cannot be read as a number"),
        ("confidence", True, "column confidence cannot be read as a number"),
        ("ts", "yesterday", "column ts holds no time"),
        ("ts", None, "column ts holds no time"),
        ("camera_id", [1], "column camera_id cannot be read as text"),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(tmp_path: Path, column: str, value: Any, told: str) -> None:
    pq.write_table(pa.Table.from_pylist([row("a", 1) | {column: value}]), tmp_path / "r.parquet")
    with pytest.raises(RecordingError, match=told):
        open_recording(tmp_path / "r.parquet")


def test_numeric_and_null_ids_of_json_lines(tmp_path: Path) -> None:
    rows = [row("a", second) | {"camera_id": 7, "vehicle_id": vehicle} for second, vehicle in enumerate((5, None, "x"))]
    recording = open_recording(json_lines(tmp_path / "r.jsonl", *rows), cameras=["7"])
    assert [message.key for message in play(recording)] == [b"7"] * 3
    assert [fields["vehicle_id"] for fields in values(recording, Lap(1, 10_000_000, 5))] == ["5~2", None, "x~2"]


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    unknown = row("cam_01", 0, lane_id=None, speed_kmh=float("nan"))
    first, second = values(open_recording(parquet(tmp_path / "r.parquet", [unknown, row("cam_01", 1)])))
    assert not {"lane_id", "speed_estimate"} & first.keys()
    assert second["lane_id"] == 1


def test_text_is_escaped(tmp_path: Path) -> None:
    odd = row('cam"\\é', 0, 'v\n"1')
    (message,) = values(open_recording(parquet(tmp_path / "r.parquet", [odd])))
    assert (message["camera_id"], message["vehicle_id"]) == ('cam"\\é', 'v\n"1')


def test_rows_are_sent_by_time_and_parquet_timestamps_are_read(tmp_path: Path) -> None:
    rows = [row("b", 2), row("b", 1), row("a", 2), row("a", 1)]
    recording = open_recording(parquet(tmp_path / "r.parquet", rows, ts=pa.timestamp("ms", "UTC")))
    sent = [(message.event_time_us, message.key) for message in play(recording)]
    assert sent == sorted(sent)
    assert sent[0] == ((T0_MS + 1000) * 1000, b"a")


def test_frames_hold_what_one_camera_saw_at_once(tmp_path: Path) -> None:
    rows = [row("b", 1, "v1"), row("a", 1, "v2"), row("b", 1, "v3"), row("b", 2, "v1")]
    recording = open_recording(parquet(tmp_path / "r.parquet", rows), frames=True)
    messages = list(play(recording))
    assert [(message.key, message.detections) for message in messages] == [(b"a", 1), (b"b", 2), (b"b", 1)]
    frame, rejected = DECODER.decode(messages[1].value)
    assert isinstance(frame, Frame)
    assert ([part.vehicle_id for part in frame.detections], rejected) == (["v1", "v3"], [])


def test_cameras_and_speeds_can_be_left_out(tmp_path: Path) -> None:
    path = parquet(tmp_path / "r.parquet", [row("a", 0), row("b", 0)])
    (message,) = values(open_recording(path, cameras=["b"], speeds=False))
    assert message["camera_id"] == "b"
    assert "speed_estimate" not in message


def test_what_cannot_be_replayed_is_refused_by_name(tmp_path: Path) -> None:
    lacking = [{name: value for name, value in row("a", 0).items() if name not in ("ts", "class")}]
    cases = {
        "no file": tmp_path / "absent.parquet",
        "lacks the columns ts, class": parquet(tmp_path / "lacking.parquet", lacking),
        "cannot be read as parquet": json_lines(tmp_path / "text.parquet", "{}"),
        "no JSON line with a timestamp": json_lines(tmp_path / "lines.jsonl", "{}", "nonsense"),
    }
    for text, path in cases.items():
        with pytest.raises(RecordingError, match=text):
            open_recording(path)
    with pytest.raises(RecordingError, match="no detection of these cameras"):
        open_recording(parquet(tmp_path / "r.parquet", [row("a", 0)]), cameras=["b"])


def identity(message: Outgoing) -> tuple[str, str, int]:
    fields = json.loads(message.value or b"")
    return fields["camera_id"], fields["vehicle_id"], fields["frame_id"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_laps_go_on_in_time_with_new_vehicles_and_pictures(tmp_path: Path, kind: str) -> None:
    rows = [row("a", second) for second in range(8)]
    path = (
        parquet(tmp_path / "r.parquet", rows)
        if kind == "parquet"
        else json_lines(tmp_path / "r.jsonl", *reversed(rows))
    )
    recording = open_recording(path)
    messages = list(islice(play(recording, endless=True), 24))
    times = [message.event_time_us for message in messages]
    assert times == sorted(times)
    assert times[8] - times[0] == times[16] - times[8] == 10_000_000  # whole windows, and at least the length
    assert len({identity(message) for message in messages}) == 24
    assert len({identity(message)[1] for message in messages}) == 3
    assert len({identity(message)[2] for message in messages}) == 24
    written = [json.loads(message.value or b"") for message in messages]
    assert [1000 * fields.get("timestamp", fields.get("ts")) for fields in written] == times


def test_frame_numbers_as_text_go_on_too(tmp_path: Path) -> None:
    rows = [row("a", second) | {"frame_id": f"{second}.0"} for second in range(3)]
    recording = open_recording(json_lines(tmp_path / "r.jsonl", *rows))
    laps = [json.loads(message.value or b"")["frame_id"] for message in islice(play(recording, endless=True), 6)]
    assert laps == ["0.0", "1.0", "2.0", 3, 4, 5]


def test_the_first_message_can_happen_now(tmp_path: Path) -> None:
    recording = open_recording(parquet(tmp_path / "r.parquet", [row("a", 3), row("a", 4)]))
    first, second = play(recording, first_at_us=1_800_000_000_123_456)
    assert (first.event_time_us, second.event_time_us) == (1_800_000_000_123_000, 1_800_000_001_123_000)
    assert json.loads(first.value or b"")["timestamp"] == 1_800_000_000_123


def test_json_lines_are_sent_as_they_are(tmp_path: Path) -> None:
    lines = [
        '{"camera_id": "a",  "timestamp": "2026-01-14T08:00:02+01:00", "frame_id": 2, "extra": [1.50]}',
        "nonsense",
        '{"camera_id": "b", "ts": 1768374001, "frame_id": 1}',
        '{"camera_id": "c", "timestamp": 1768374000500.0, "detections": [{}, {}]}',
    ]
    messages = list(play(open_recording(json_lines(tmp_path / "r.jsonl", *lines))))
    assert [message.value for message in messages] == [lines[number].encode() for number in (3, 2, 0, 1)]
    assert [message.key for message in messages] == [b"c", b"b", b"a", None]
    assert [message.detections for message in messages] == [2, 1, 1, 1]


def test_moved_json_lines_keep_their_form_of_time(tmp_path: Path) -> None:
    lines = [
        {"camera_id": "a", "timestamp": "2026-01-14T08:00:00+01:00", "vehicle_id": 7},
        {"camera_id": "a", "ts": 1_768_374_001, "detections": [{"vehicle_id": "x", "speed_kmh": 3}]},
        {"camera_id": "a", "timestamp": 1_768_374_002_500},
    ]
    recording = open_recording(json_lines(tmp_path / "r.jsonl", *lines), speeds=False)
    assert values(recording, Lap(1, 10_000_000, 5)) == [
        {"camera_id": "a", "timestamp": "2026-01-14T07:00:10Z", "vehicle_id": "7~2"},
        {"camera_id": "a", "ts": 1_768_374_011, "detections": [{"vehicle_id": "x~2"}]},
        {"camera_id": "a", "timestamp": 1_768_374_012_500},
    ]


def test_the_shipped_slice_is_ten_minutes_of_forty_cameras() -> None:
    assert slice_path().stat().st_size < 2_000_000
    recording = open_recording(slice_path())
    table = pq.read_table(slice_path())
    assert len(set(table["camera_id"].to_pylist())) == 40
    assert (recording.detections, recording.last_us - recording.first_us) == (161_925, 599_000_000)
    message = next(iter(play(recording)))
    assert DECODER.decode(message.value)[1] == []
