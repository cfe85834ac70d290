"""However the log comes in runs, and whoever goes on from whatever rows: the same output, and each of it once.

Records have clocks that go back and forth, so roads are forgotten and come back; workers die, freeze and wake.
"""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from models.dead_letters import DeadLetter
from models.roads.current import RoadObservation, decode_road_observation
from tests.roads.conftest import FILES
from tests.roads.feed_messages import T0_US, FeedRecord, at, line_of, record, roads
from trafficapp.engine.state_rows import is_forgotten, offset_of
from trafficapp.roads.files.importing import import_graph
from trafficapp.roads.partition import PartitionRoads

GRAPH = import_graph(FILES, city="bologna", source="test")
LINES = [[], line_of(GRAPH, "a10"), line_of(GRAPH, "a104"), [[44.5, 11.32], [44.5, 11.33]]]


def log_of(chance: random.Random) -> list[FeedRecord]:
    """Messages some of which are refused, under clocks that go forth and back."""
    records, sent = [], 0
    for offset in range(chance.randint(1, 50)):
        if chance.random() < 0.3:
            sent = chance.choice(
                [sent, sent + 3600, sent + 25 * 3600, sent + 12 * 86_400, chance.randint(0, 60) * 3600]
            )
        sent += chance.choice([0, 0, 1, 40, -30])
        seconds = sent + chance.choice([0, 0, 0, -10, -700, -4000, 50, 100])
        records.append(
            record(
                offset,
                T0_US + sent * 1_000_000,
                timestamp=at(seconds),
                road_id=chance.choice(["a10", "a104", "feed-1", "feed-2"]),
                current_speed=chance.choice([-1, 0, 30, 30, 30, 300]),
                coordinates=chance.choice(LINES),
            )
        )
    return records


class Log:
    """What workers told, which must be the same whoever tells it, and the changelog of their rows."""

    def __init__(self) -> None:
        self.told: dict[int, RoadObservation | DeadLetter] = {}
        self.changelog: list[tuple[bytes, bytes]] = []

    def merged(self) -> dict[bytes, bytes]:
        rows: dict[bytes, bytes] = {}
        for key, row in self.changelog:
            known = rows.get(key)
            if is_forgotten(row):
                if known is not None and offset_of(row) >= offset_of(known):
                    del rows[key]
            elif known is None or offset_of(row) > offset_of(known):
                rows[key] = row
        return rows


class Worker:
    """Applies runs and writes rows. It may die in between, or be frozen and write the rest while others go on."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.feed: PartitionRoads = roads(GRAPH, log.merged())
        self.unwritten: list[tuple[bytes, bytes]] = []

    def run(self, records: list[FeedRecord]) -> None:
        outcome = self.feed.apply(records)
        assert [one.source_offset for one in outcome.observations] == [
            decode_road_observation(value).source_offset for _, value in outcome.records
        ]
        for observation in outcome.observations:
            assert self.log.told.setdefault(observation.source_offset, observation) == observation
        for letter in outcome.dead_letters:
            assert self.log.told.setdefault(letter.offset, letter) == letter

    def write(self, count: int) -> None:
        """The next rows reach the log."""
        self.log.changelog += self.unwritten[:count]
        self.unwritten = self.unwritten[count:]

    def go_on(self, records: list[FeedRecord], chance: random.Random) -> None:
        """One step of whatever is due."""
        if self.unwritten:
            self.write(chance.choice([1000, 1000, 1, 2, 3]))
        elif chance.random() < 0.6:
            first = self.feed.applied + 1
            # runs may overlap what is applied
            self.run(records[max(0, first - chance.randint(0, 3)) : first + chance.randint(1, 9)])
        else:
            self.unwritten = self.feed.all_rows() if chance.random() < 0.3 else self.feed.changed_rows()


def rows_of(feed: PartitionRoads) -> list[tuple[bytes, bytes]]:
    """All rows. The tombstones of forgotten roads may be written already."""
    return [row for row in feed.all_rows() if not is_forgotten(row[1])]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_runs_and_any_take_over(seed: int) -> None:
    chance = random.Random(seed)
    records = log_of(chance)
    alone, shared = Log(), Log()
    right = Worker(alone)
    right.run(records)
    workers = [Worker(shared)]
    for _ in range(chance.randint(0, 60)):
        match chance.choice(["go on", "go on", "go on", "go on", "frozen", "take over"]):
            case "go on":
                workers[-1].go_on(records, chance)
            case "frozen":
                chance.choice(workers[-4:]).go_on(records, chance)
            case "take over":
                workers.append(Worker(shared))
    last = Worker(shared)
    last.run(records)
    assert shared.told == alone.told
    assert rows_of(last.feed) == rows_of(right.feed)
    shared.changelog += last.feed.all_rows()
    assert rows_of(Worker(shared).feed) == rows_of(right.feed)
