"""Speeds of many roads over a long time: what models are trained from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
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


def read_history(path: Path, *, zone: str = "UTC", step_seconds: int = 300, links: Path | None = None) -> SpeedHistory:
    """Read a history from a file.

    ``.npz``: ``speed_kmh`` (NaN is missing) or ``speed_mph`` (NaN and 0 are missing, as loop detectors write it), shape
    (steps, roads); ``road_id`` or ``sensor_id``; ``start`` in ISO 8601; ``step_min``; an adjacency ``adj...`` if known.
    ``.parquet``: columns ``road_id``, ``timestamp`` and ``speed_kmh`` in any order, averaged over steps.

    Args:
        path: the file.
        zone: the city's time zone; a start or timestamp without an offset is in it.
        step_seconds: length of a step, for parquet.
        links: parquet with columns ``from_road``, ``to_road`` (ids) and, if wanted, ``weight``.

    Raises:
        HistoryError: the file is something else.
    """
    try:
        history = _read_npz(path, zone) if path.suffix == ".npz" else _read_parquet(path, zone, step_seconds)
        if links is not None:
            found = _read_links(links, history.road_ids)
            history = SpeedHistory(
                history.road_ids, history.start, history.step_seconds, history.speeds_kmh, zone, found
            )
    except (OSError, KeyError, ValueError) as error:
        raise HistoryError(f"{path}: {error}") from None
    return history


def without_impossible(speeds_kmh: Floats) -> Floats:
    """The same speeds, NaN where one cannot be."""
    with np.errstate(invalid="ignore"):
        usable = (speeds_kmh >= 0) & (speeds_kmh <= IMPOSSIBLE_KMH)
    return np.where(usable, speeds_kmh, np.float32(np.nan)).astype(np.float32)


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
    return SpeedHistory(tuple(map(str, ids)), start, step_seconds, without_impossible(speeds), zone, links)


def _read_parquet(path: Path, zone: str, step_seconds: int) -> SpeedHistory:
    table = pq.read_table(path, columns=["road_id", "timestamp", "speed_kmh"])
    roads, column = np.unique(np.array(table["road_id"].to_pylist(), str), return_inverse=True)
    if not len(roads):
        raise HistoryError("there are no rows")
    moments = [_aware(moment, zone).timestamp() for moment in table["timestamp"].to_pylist()]
    steps = np.array(moments, np.float64).astype(np.int64) // step_seconds
    speeds = without_impossible(table["speed_kmh"].to_numpy(zero_copy_only=False).astype(np.float32))
    known, first = np.isfinite(speeds), int(steps.min())
    shape = (int(steps.max()) - first + 1, len(roads))
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, (steps[known] - first, column[known]), speeds[known])
    np.add.at(counts, (steps[known] - first, column[known]), 1)
    means = np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0).astype(np.float32)
    start = datetime.fromtimestamp(first * step_seconds, UTC)
    return SpeedHistory(tuple(roads.tolist()), start, step_seconds, means, zone, RoadLinks.none(len(roads)))


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
