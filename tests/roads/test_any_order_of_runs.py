"""However the log comes in runs, and whoever goes on from whatever rows: the same output, and each of it once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from models.dead_letters import DeadLetter
from models.roads import RoadObservation
from tests.roads.conftest import FILES
from tests.roads.feed_messages import T0_US, FeedRecord, at, line_of, record, roads
from trafficapp.roads.importing import import_graph
from trafficapp.roads.partition import PartitionRoads
from trafficapp.state_rows import is_forgotten, offset_of

GRAPH = import_graph(FILES, city="bologna", source="test")
LINES = [[], line_of(GRAPH, "a10"), line_of(GRAPH, "a104"), [[44.5, 11.32], [44.5, 11.33]]]

messages = st.builds(
    lambda **drawn: drawn,
    road_id=st.sampled_from(["a10", "a104", "feed-1", "feed-2"]),
    seconds=st.integers(-4000, 100),
    sent_seconds=st.one_of(st.integers(-1000, 1000), st.integers(0, 60).map(lambda hours: hours * 3600)),
    current_speed=st.sampled_from([-1, 0, 30, 300]),
    coordinates=st.sampled_from(LINES),
)


def log(drawn: list[dict[str, object]]) -> list[FeedRecord]:
    records = []
    for offset, one in enumerate(drawn):
        sent, seconds = one.pop("sent_seconds"), one.pop("seconds")
        assert isinstance(sent, int)
        assert isinstance(seconds, int)
        timestamp = at(sent + seconds)
        records.append(record(offset, T0_US + sent * 1_000_000, timestamp=timestamp, **one))
    return records


class Worker:
    """Applies runs, keeps what was told, and may die and be followed by another that has only some of its rows."""

    def __init__(self) -> None:
        self.told: dict[int, RoadObservation | DeadLetter] = {}
        self.rows: dict[bytes, bytes] = {}
        self.feed: PartitionRoads = roads(GRAPH)

    def run(self, records: list[FeedRecord]) -> None:
        outcome = self.feed.apply(records)
        for observation in outcome.observations:
            assert self.told.setdefault(observation.source_offset, observation) == observation
        for letter in outcome.dead_letters:
            assert self.told.setdefault(letter.offset, letter) == letter

    def write(self, count: int) -> None:
        """Only the first rows of what changed reach the log."""
        for key, row in self.feed.changed_rows()[:count]:
            known = self.rows.get(key)
            if is_forgotten(row):
                if known is not None and offset_of(row) >= offset_of(known):
                    del self.rows[key]
            elif known is None or offset_of(row) > offset_of(known):
                self.rows[key] = row

    def die(self) -> None:
        self.feed = roads(GRAPH, self.rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(messages, max_size=40), st.data())
def test_any_runs_and_any_take_over(drawn: list[dict[str, object]], data: st.DataObject) -> None:
    records = log(drawn)
    right = Worker()
    right.run(records)
    other = Worker()
    while other.feed.applied < len(records) - 1:
        first = other.feed.applied + 1
        length = data.draw(st.integers(1, len(records) - first))
        # runs may overlap what is applied
        other.run(records[max(0, first - data.draw(st.integers(0, 3))) : first + length])
        match data.draw(st.sampled_from(["go on", "write", "die", "write a part and die"])):
            case "write":
                other.write(1000)
            case "die":
                if data.draw(st.booleans()):
                    other.die()
            case "write a part and die":
                other.write(data.draw(st.integers(0, 3)))
                other.die()
    assert other.told == right.told
    # the tombstones of forgotten roads may be written already
    states = [[row for row in one.feed.all_rows() if not is_forgotten(row[1])] for one in (other, right)]
    assert states[0] == states[1]
