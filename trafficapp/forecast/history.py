"""Speeds of many roads over a long time: what models are trained from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.neighbours import RoadLinks
from trafficapp.forecast.quantities import SPEED, Quantity

KMH_PER_MPH = 1.609344

#: More than this is no speed of a vehicle on a road.
IMPOSSIBLE_KMH = SPEED.possible_to


class HistoryError(ValueError):
    """A file holds no history that can be trained from; the message says why."""


@dataclass(frozen=True, eq=False)
class SpeedHistory:
    """Mean speed of each road in each step, NaN where none was measured."""

    road_ids: tuple[str, ...]
    start: datetime
    step_seconds: int
    speeds_kmh: Floats
    zone: str
    links: RoadLinks
    quantity: Quantity = SPEED

    def __post_init__(self) -> None:
        if self.speeds_kmh.ndim != 2 or self.speeds_kmh.shape[1] != len(self.road_ids):
            raise HistoryError(f"{len(self.road_ids)} roads do not fit speeds of shape {self.speeds_kmh.shape}")
        if self.links.road_count != len(self.road_ids):
            raise HistoryError(f"links of {self.links.road_count} roads do not fit {len(self.road_ids)} roads")
        if len(set(self.road_ids)) != len(self.road_ids):
            raise HistoryError("a road is there twice")
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
) -> SpeedHistory:
    """Read a history from a file.

    ``.npz``: ``speed_kmh`` (NaN is missing) or ``speed_mph`` (NaN and 0 are missing, as loop detectors write it), shape
    (steps, roads); ``road_id`` or ``sensor_id``; ``start`` in ISO 8601; ``step_min``; an adjacency ``adj...`` if known.
    ``.parquet``: columns ``road_id``, ``timestamp`` and ``speed_kmh`` in any order, averaged over steps; of scores the
    columns are ``entity``, ``timestamp`` and ``congestion_score``.

    Args:
        path: the file.
        zone: the city's time zone; a start or timestamp without an offset is in it.
        step_seconds: length of a step, for parquet; else what is usual for the quantity.
        links: parquet with columns ``from_road``, ``to_road`` (ids) and, if wanted, ``weight``.
        quantity: what the file holds; ``.npz`` holds speeds.

    Raises:
        HistoryError: the file is something else.
    """
    try:
        if path.suffix == ".npz":
            history = _read_npz(path, zone)
        else:
            history = _read_parquet(path, zone, step_seconds or quantity.step_seconds, quantity)
        if links is not None:
            history = replace(history, links=_read_links(links, history.road_ids))
    except (OSError, KeyError, ValueError) as error:
        raise HistoryError(f"{path}: {error}") from None
    return history


def possible(values: Floats, quantity: Quantity = SPEED) -> Floats:
    """The same values, NaN where one cannot be."""
    with np.errstate(invalid="ignore"):
        usable = (values >= quantity.lowest) & (values <= quantity.possible_to)
    return np.where(usable, values, np.float32(np.nan)).astype(np.float32)


def averaged(
    entities: pa.ChunkedArray, seconds: Integers, values: Floats, zone: str, step_seconds: int, quantity: Quantity
) -> SpeedHistory:
    """A history of rows in any order: their means over steps.

    Args:
        entities: what each row is of, as text.
        seconds: when, in seconds since the epoch.
        values: what was measured; NaN and what cannot be is left out.
        zone: the city's time zone.
        step_seconds: length of a step.
        quantity: what was measured.

    Raises:
        HistoryError: there are no rows.
    """
    encoded = entities.combine_chunks().dictionary_encode()
    names, order = np.unique(np.array(encoded.dictionary.to_pylist(), str), return_inverse=True)
    if not len(names):
        raise HistoryError("there are no rows")
    column = order[encoded.indices.to_numpy(zero_copy_only=False)]
    steps, values = seconds // step_seconds, possible(values, quantity)
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


def _read_npz(path: Path, zone: str) -> SpeedHistory:
    with np.load(path, allow_pickle=False) as archive:
        if "speed_kmh" in archive:
            speeds = archive["speed_kmh"].astype(np.float32)
        else:
            mph = archive["speed_mph"].astype(np.float64)
            speeds = np.where(mph > 0, mph * KMH_PER_MPH, np.nan).astype(np.float32)
        ids = archive["road_id" if "road_id" in archive else "sensor_id"].ravel()
        start = _aware(datetime.fromisoformat(str(archive["start"])), zone)
        step_seconds = 60 * int(archive["step_min"])
        adjacency = next((archive[name] for name in archive.files if name.startswith("adj")), None)
    links = RoadLinks.none(len(ids)) if adjacency is None else RoadLinks.from_matrix(adjacency)
    return SpeedHistory(tuple(map(str, ids)), start, step_seconds, possible(speeds), zone, links)


def _read_parquet(path: Path, zone: str, step_seconds: int, quantity: Quantity) -> SpeedHistory:
    table = pq.read_table(path, columns=[quantity.entity, "timestamp", quantity.name])
    values = table[quantity.name].to_numpy(zero_copy_only=False).astype(np.float32)
    return averaged(table[quantity.entity], _seconds(table["timestamp"], zone), values, zone, step_seconds, quantity)


def _seconds(moments: pa.ChunkedArray, zone: str) -> Integers:
    """Seconds since the epoch of a column of timestamps."""
    if pa.types.is_timestamp(moments.type) and moments.type.tz is not None:
        microseconds = moments.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        return np.asarray(microseconds.to_numpy() // 1_000_000, np.int64)
    return np.array([_aware(moment, zone).timestamp() for moment in moments.to_pylist()]).astype(np.int64)


def _read_links(path: Path, road_ids: tuple[str, ...]) -> RoadLinks:
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
