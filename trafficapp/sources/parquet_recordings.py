"""Recordings in parquet: one detection a row, columns as in the table ``traffic_events``.

The JSON text of thousands of rows is put together column by column, which is quicker than encoding
row after row: a replay is to be limited by the broker.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain, groupby, repeat
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.timestamps import FIRST_MILLISECOND_VALUE, epoch_us
from trafficapp.sources.outgoing import Lap, Outgoing
from trafficapp.sources.recording import RecordingError

_REQUIRED = (
    "camera_id", "ts", "vehicle_id", "class", "frame_id", "confidence", "bbox_x", "bbox_y", "bbox_w", "bbox_h",
)  # fmt: skip
_OPTIONAL = ("centroid_x", "centroid_y", "lane_id", "speed_kmh")
_ROWS_PER_CHUNK = 8192

#: When a row is sent, which is also known of one that has no time.
_AT = "sent at"

#: What a column holds.
_KINDS = dict.fromkeys((*_REQUIRED, *_OPTIONAL), "a number") | {
    "ts": "a time",
    **dict.fromkeys(("camera_id", "vehicle_id", "class"), "text"),
    "frame_id": "a whole number",
}

#: Recordings hold float32; what they were before is within this many decimals.
_DECIMALS = 3

#: An array of strings, or a string that stands for an array of copies.
_Text: TypeAlias = "pa.Array | str"


class ParquetRecording:
    """A parquet file, sorted by time, camera and picture; see `Recording`.

    Column ``ts`` is a parquet timestamp, epoch seconds or milliseconds, or a text that says one of them; what is below
    milliseconds is cut off. Ids may be numbers. What has no value is sent as null, for the application to refuse; rows
    without a time stand at the end.
    """

    def __init__(
        self, path: Path, cameras: Collection[str] | None = None, *, speeds: bool = True, frames: bool = False
    ) -> None:
        try:
            names = pq.read_schema(path).names
            missing = [name for name in _REQUIRED if name not in names]
            if missing:
                raise RecordingError(f"{path} lacks the columns {', '.join(missing)}")
            wanted = [*_REQUIRED, *(name for name in _OPTIONAL if name in names and (speeds or name != "speed_kmh"))]
            table = pq.read_table(path, columns=wanted)
        except (pa.ArrowException, OSError) as error:
            raise RecordingError(f"{path} cannot be read as parquet: {error}") from None
        for index, name in enumerate(wanted):
            try:
                table = table.set_column(index, name, _plain(name, table[name]))
            except (pa.ArrowException, NotImplementedError) as error:
                raise RecordingError(f"{path}: column {name} cannot be read as {_KINDS[name]}: {error}") from None
        if table.num_rows and table["ts"].null_count == table.num_rows:
            raise RecordingError(f"{path}: column ts holds no time")
        if cameras is not None:
            table = table.filter(pc.is_in(table["camera_id"], value_set=pa.array(sorted(cameras))))
        self._table = _sorted_and_rounded(table)
        self._frames = frames
        self.detections: int = self._table.num_rows
        times, frame_ids = pc.min_max(self._table["ts"]), pc.min_max(self._table["frame_id"])
        self.first_us: int = (times["min"].as_py() or 0) * 1000
        self.last_us: int = (times["max"].as_py() or 0) * 1000
        self.frame_ids: int = (frame_ids["max"].as_py() or 0) - (frame_ids["min"].as_py() or 0) + 1

    def messages(self, lap: Lap) -> Iterator[Outgoing]:
        """Yield one message a detection, or one a camera and picture."""
        batches = self._table.to_batches(max_chunksize=_ROWS_PER_CHUNK)
        if not self._frames:
            for batch in batches:
                yield from _single(batch, lap)
            return
        parts = chain.from_iterable(_parts(batch, lap) for batch in batches)
        for (ms, camera, head), group in groupby(parts, key=itemgetter(0, 1, 2)):
            detections = [part[3] for part in group]
            value = f'{{{head},"detections":[{{{"},{".join(detections)}}}]}}'
            key = None if camera is None else camera.encode()
            yield Outgoing(ms * 1000, key, value.encode(), len(detections))


def _plain(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as it is sent: ids and classes as text, times in milliseconds, pictures and lanes as whole numbers.

    Raises:
        pa.ArrowException: it cannot be.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_null(kind):
        kind = pa.string()
        column = column.cast(kind)
    if _KINDS[name] == "a time":
        return _milliseconds(column)
    if _KINDS[name] == "text":
        return (_whole(column) if pa.types.is_floating(kind) else column).cast(pa.string())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):  # text, or decimals
        column = pc.utf8_trim_whitespace(column.cast(pa.string())).cast(pa.float64())
    return _whole(column).cast(pa.int64()) if _KINDS[name] == "a whole number" else column


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers that became floats because others are missing; NaN is a missing one."""
    if not pa.types.is_floating(column.type):
        return column
    finite = pc.if_else(pc.is_finite(column), column, None)
    try:
        return finite.cast(pa.int64())
    except pa.ArrowInvalid:
        return finite


def _milliseconds(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return column.cast(pa.timestamp("us"), safe=False).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    if pa.types.is_integer(kind):
        column = column.cast(pa.int64())
        return pc.if_else(pc.greater_equal(column, int(FIRST_MILLISECOND_VALUE)), column, pc.multiply(column, 1000))
    coded = column.combine_chunks().dictionary_encode()
    times = pa.array([_epoch_ms(value) for value in coded.dictionary.to_pylist()], pa.int64())
    return pa.chunked_array([pc.take(times, coded.indices)])


def _epoch_ms(value: Any) -> int | None:
    """Milliseconds since the epoch of a number or text; None when it says no time, which the application refuses."""
    try:
        return epoch_us(value) // 1000
    except (ValueError, TypeError, OverflowError):
        return None


def _sorted_and_rounded(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            exact = pc.round(table.column(index).cast(pa.float64()), _DECIMALS)
            known = pc.if_else(pc.is_finite(exact), exact, None)
            table = table.set_column(index, field.name, known)
    for centre, corner, extent in (("centroid_x", "bbox_x", "bbox_w"), ("centroid_y", "bbox_y", "bbox_h")):
        if centre not in table.column_names:
            middle = pc.add(table[corner], pc.divide(table[extent], 2.0))
            table = table.append_column(centre, pc.round(middle, _DECIMALS))
    table = table.append_column(_AT, pc.fill_null(table["ts"], pc.max(table["ts"])))
    keys = [(name, "ascending") for name in (_AT, "camera_id", "frame_id")]
    return table.take(pc.sort_indices(table, sort_keys=keys)).combine_chunks()  # a stable sort


def _single(batch: pa.RecordBatch, lap: Lap) -> Iterator[Outgoing]:
    texts = _joined("{", _head(batch, lap), ",", _body(batch, lap), "}").cast(pa.binary()).to_pylist()
    keys = batch.column("camera_id").cast(pa.binary()).to_pylist()
    times_us = pc.multiply(_shifted_times(batch, lap, _AT), 1000).to_pylist()
    return map(Outgoing, times_us, keys, texts, repeat(1))


def _parts(batch: pa.RecordBatch, lap: Lap) -> Iterator[tuple[int, str | None, str, str]]:
    """Yield (event time in ms, camera, what a frame says once, what each detection says)."""
    columns = (_shifted_times(batch, lap, _AT), batch.column("camera_id"), _head(batch, lap), _body(batch, lap))
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _shifted_times(batch: pa.RecordBatch, lap: Lap, column: str = "ts") -> pa.Array:
    return pc.add(batch.column(column), lap.shift_us // 1000)


def _head(batch: pa.RecordBatch, lap: Lap) -> pa.Array:
    return _joined(
        '"camera_id":', _strings(batch.column("camera_id")),
        ',"timestamp":', _numbers(_shifted_times(batch, lap)),
        ',"frame_id":', _numbers(pc.add(batch.column("frame_id").cast(pa.int64()), lap.frame_shift)),
    )  # fmt: skip


def _body(batch: pa.RecordBatch, lap: Lap) -> pa.Array:
    column = batch.column
    vehicles = column("vehicle_id")
    if lap.number:
        names = (None if name is None else lap.vehicle_id(name) for name in vehicles.to_pylist())
        vehicles = pa.array(names, pa.string())
    return _joined(
        '"vehicle_id":', _strings(vehicles),
        ',"class":', _strings(column("class")),
        ',"confidence":', _numbers(column("confidence")),
        ',"bbox":{"x":', _numbers(column("bbox_x")), ',"y":', _numbers(column("bbox_y")),
        ',"w":', _numbers(column("bbox_w")), ',"h":', _numbers(column("bbox_h")),
        '},"centroid":{"x":', _numbers(column("centroid_x")), ',"y":', _numbers(column("centroid_y")),
        "}",
        _optional(batch, "lane_id", ',"lane_id":'),
        _optional(batch, "speed_kmh", ',"speed_estimate":'),
    )  # fmt: skip


def _joined(*texts: _Text) -> pa.Array:
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="")


def _numbers(values: pa.Array) -> pa.Array:
    return pc.fill_null(pc.cast(values, pa.string()), "null")


def _strings(values: pa.Array) -> pa.Array:
    """JSON strings; each distinct value is escaped once."""
    coded = values.cast(pa.string()).dictionary_encode()
    escaped = pa.array([orjson.dumps(value).decode() for value in coded.dictionary.to_pylist()], pa.string())
    return pc.fill_null(pc.take(escaped, coded.indices), "null")


def _optional(batch: pa.RecordBatch, name: str, label: str) -> _Text:
    """A member that is left out where there is no value."""
    if name not in batch.schema.names:
        return ""
    return pc.binary_join_element_wise(label, pc.cast(batch.column(name), pa.string()), "")
