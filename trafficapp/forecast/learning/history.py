"""Speeds of many roads over a long time: what models are trained from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from models.timestamps import epoch_us
from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import SPEED, Quantity

# Every worker has these shapes through its models, and none but one that trains reads a file: pyarrow was 42 of the
# 183 MB that a worker has at its start.
if TYPE_CHECKING:
    import pyarrow as pa

KMH_PER_MPH = 1.609344

#: A road with speeds in a smaller share of the steps is left to the last value.
LEAST_SHARE = 0.05

#: More than this is no speed of a vehicle on a road.
IMPOSSIBLE_KMH = SPEED.possible_to


class HistoryError(ValueError):
    """A file holds no history that can be trained from; the message says why."""


@dataclass(frozen=True, eq=False)
class SpeedHistory:
    """Mean speed of each road in each step, NaN where none was measured.

    ``weather`` has the numbers of `trafficapp.forecast.weather_inputs` in each step, NaN where they are not known; None
    where nobody asked.
    """

    road_ids: tuple[str, ...]
    start: datetime
    step_seconds: int
    speeds_kmh: Floats
    zone: str
    links: RoadLinks
    quantity: Quantity = SPEED
    weather: Floats | None = None

    def __post_init__(self) -> None:
        if self.speeds_kmh.ndim != 2 or self.speeds_kmh.shape[1] != len(self.road_ids):
            raise HistoryError(f"{len(self.road_ids)} roads do not fit speeds of shape {self.speeds_kmh.shape}")
        if self.links.road_count != len(self.road_ids):
            raise HistoryError(f"links of {self.links.road_count} roads do not fit {len(self.road_ids)} roads")
        if len(set(self.road_ids)) != len(self.road_ids):
            raise HistoryError("a road is there twice")
        if self.weather is not None and len(self.weather) != len(self.speeds_kmh):
            raise HistoryError(f"weather of {len(self.weather)} steps does not fit {len(self.speeds_kmh)} steps")
        if self.start.tzinfo is None:
            raise HistoryError("the start has no time zone")

    @property
    def times(self) -> Integers:
        """When each step begins, in seconds since the epoch."""
        return int(self.start.timestamp()) + self.step_seconds * np.arange(len(self.speeds_kmh), dtype=np.int64)

    @property
    def end(self) -> datetime:
        """When the last step is over."""
        return self.start + timedelta(seconds=self.step_seconds * len(self.speeds_kmh))


def read_history(
    path: Path,
    *,
    zone: str = "UTC",
    step_seconds: int | None = None,
    links: Path | None = None,
    quantity: Quantity = SPEED,
    zeros_are_missing: bool = True,
) -> SpeedHistory:
    """Read a history from a file.

    ``.npz``: ``speed_kmh`` or ``speed_mph``, shape (steps, roads); ``road_id`` or ``sensor_id``; ``start`` in ISO 8601;
    ``step_min``; an adjacency ``adj...`` if known.
    ``.parquet``: columns ``road_id``, ``timestamp`` and ``speed_kmh`` in any order, averaged over steps; of scores the
    columns are ``entity``, ``timestamp`` and ``congestion_score``.
    In either NaN, null, and what cannot be, is missing; a step without a measurement is a gap, which nothing fills.

    Args:
        path: the file.
        zone: the city's time zone; a start or timestamp without an offset is in it.
        step_seconds: length of a step, for parquet; else what is usual for the quantity.
        links: parquet with columns ``from_road``, ``to_road`` (ids) and, if wanted, ``weight``.
        quantity: what the file holds; ``.npz`` holds speeds.
        zeros_are_missing: whether a speed of 0 says that nothing was measured, as loop detectors write it.

    Raises:
        HistoryError: the file is something else.
    """
    import pyarrow as pa

    try:
        if path.suffix == ".npz":
            history = _read_npz(path, zone, zeros_are_missing)
        else:
            history = _read_parquet(path, zone, step_seconds or quantity.step_seconds, quantity, zeros_are_missing)
        if links is not None:
            history = replace(history, links=_read_links(links, history.road_ids))
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise HistoryError(f"{path}: {error}") from None
    return history


def often_measured(history: SpeedHistory) -> tuple[SpeedHistory, int]:
    """A history without the roads that were measured in less than `LEAST_SHARE` of the steps, and how many these are.

    Raises:
        HistoryError: none is left.
    """
    kept = np.isfinite(history.speeds_kmh).mean(0) >= LEAST_SHARE if len(history.speeds_kmh) else np.zeros(0, bool)
    if kept.all() and len(kept):
        return history, 0
    if not kept.any():
        raise HistoryError(f"hardly any of the steps has a {history.quantity.name}")
    ids = tuple(name for name, keep in zip(history.road_ids, kept, strict=True) if keep)
    speeds = np.ascontiguousarray(history.speeds_kmh[:, kept])
    return replace(history, road_ids=ids, speeds_kmh=speeds, links=history.links.among(kept)), int((~kept).sum())


def possible(values: Floats, quantity: Quantity = SPEED, *, zeros_are_missing: bool = True) -> Floats:
    """The same values, NaN where one cannot be, and where a speed of 0 stands for none."""
    with np.errstate(invalid="ignore"):
        usable = (values >= quantity.lowest) & (values <= quantity.possible_to)
        if zeros_are_missing and quantity.name == SPEED.name:  # a score of 0 is an empty road
            usable &= values > 0
    return np.where(usable, values, np.float32(np.nan)).astype(np.float32)


def averaged(
    entities: pa.ChunkedArray,
    seconds: Integers,
    values: Floats,
    zone: str,
    step_seconds: int,
    quantity: Quantity,
    *,
    zeros_are_missing: bool = True,
) -> SpeedHistory:
    """A history of rows in any order: their means over steps.

    Args:
        entities: what each row is of, as text.
        seconds: when, in seconds since the epoch.
        values: what was measured; NaN and what cannot be is left out.
        zone: the city's time zone.
        step_seconds: length of a step.
        quantity: what was measured.
        zeros_are_missing: as of `read_history`.

    Raises:
        HistoryError: there are no rows.
    """
    encoded = entities.combine_chunks().dictionary_encode()
    names, order = np.unique(np.array(encoded.dictionary.to_pylist(), str), return_inverse=True)
    if not len(names):
        raise HistoryError("there are no rows")
    column = order[encoded.indices.to_numpy(zero_copy_only=False)]
    steps = seconds // step_seconds
    values = possible(values, quantity, zeros_are_missing=zeros_are_missing)
    known, first = np.isfinite(values), int(steps.min())
    shape = (int(steps.max()) - first + 1, len(names))
    place = (steps[known] - first) * shape[1] + column[known]
    counts = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    sums = np.bincount(place, values[known], shape[0] * shape[1]).reshape(shape)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0).astype(np.float32)
    start, links = datetime.fromtimestamp(first * step_seconds, UTC), RoadLinks.none(len(names))
    return SpeedHistory(tuple(names.tolist()), start, step_seconds, means, zone, links, quantity)


def _aware(moment: datetime, zone: str) -> datetime:
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _read_npz(path: Path, zone: str, zeros_are_missing: bool) -> SpeedHistory:
    with np.load(path, allow_pickle=False) as archive:
        if "speed_kmh" in archive:
            speeds = archive["speed_kmh"].astype(np.float32)
        else:
            speeds = (archive["speed_mph"].astype(np.float64) * KMH_PER_MPH).astype(np.float32)
        ids = archive["road_id" if "road_id" in archive else "sensor_id"].ravel()
        start = _aware(datetime.fromisoformat(str(archive["start"])), zone)
        step_seconds = 60 * int(archive["step_min"])
        adjacency = next((archive[name] for name in archive.files if name.startswith("adj")), None)
    links = RoadLinks.none(len(ids)) if adjacency is None else RoadLinks.from_matrix(adjacency)
    speeds = possible(speeds, zeros_are_missing=zeros_are_missing)
    return SpeedHistory(tuple(map(str, ids)), start, step_seconds, speeds, zone, links)


def _read_parquet(
    path: Path, zone: str, step_seconds: int, quantity: Quantity, zeros_are_missing: bool
) -> SpeedHistory:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=[quantity.entity, "timestamp", quantity.name])
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    table = table.filter(pc.and_(pc.is_valid(table[quantity.entity]), pc.is_valid(table["timestamp"])))
    entities = table[quantity.entity].cast(pa.string())
    values = table[quantity.name].cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float32)
    seconds = _seconds(table["timestamp"], zone)
    return averaged(entities, seconds, values, zone, step_seconds, quantity, zeros_are_missing=zeros_are_missing)


def _seconds(moments: pa.ChunkedArray, zone: str) -> Integers:
    """Seconds since the epoch of a column of timestamps, epoch numbers or texts that say one of them.

    Raises:
        ValueError: one is no time.
    """
    import pyarrow as pa

    kind = moments.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        microseconds = moments.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        return np.asarray(microseconds.to_numpy() // 1_000_000, np.int64)
    if pa.types.is_timestamp(kind):
        return np.array([_aware(moment, zone).timestamp() for moment in moments.to_pylist()]).astype(np.int64)
    coded = moments.combine_chunks().dictionary_encode()
    known = np.array([_second(value, zone) for value in coded.dictionary.to_pylist()], np.int64)
    return known[coded.indices.to_numpy(zero_copy_only=False)] if len(known) else known


def _second(value: object, zone: str) -> int:
    """Likewise of one value; a text without an offset is in the zone, as a timestamp is."""
    try:
        if isinstance(value, str) and not value.strip().replace(".", "").isdigit():
            return int(_aware(datetime.fromisoformat(value.strip()), zone).timestamp())
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return epoch_us(value) // 1_000_000
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"timestamp {value!r:.64} is no time")


def _read_links(path: Path, road_ids: tuple[str, ...]) -> RoadLinks:
    import pyarrow.parquet as pq

    table, place = pq.read_table(path), {road: index for index, road in enumerate(road_ids)}
    starts, ends = table["from_road"].to_pylist(), table["to_road"].to_pylist()
    weights = table["weight"].to_pylist() if "weight" in table.column_names else [1.0] * len(starts)
    # Roads that the history does not have cannot tell anything about the others.
    kept = [
        (place[start], place[end], weight)
        for start, end, weight in zip(starts, ends, weights, strict=True)
        if start in place and end in place and start != end
    ]
    columns = np.array(kept, np.float64).reshape(-1, 3).T
    return RoadLinks(
        len(road_ids), columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2].astype(np.float32)
    )
