"""Owners of the city's partition die, freeze and wake: what is known of the roads, and told, is as if one had read all.

The log has clocks that are ahead and come right again, roads that are forgotten and come back, repeats and what is no
observation. An owner makes rounds wherever it likes, writes all rows of a round or the first few, and may be frozen: it
then goes on at any time, while others own the partition.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.roads.congestion import CongestionEvent
from models.roads.current import RoadObservation
from models.roads.notifications import encode_notification
from models.timestamps import epoch_us
from tests.forecast.city.observations import observation, records
from tests.roads.towns import graph_of
from trafficapp.congestion.events import CongestionEvents
from trafficapp.congestion.network import RoadNetwork
from trafficapp.congestion.wording import notification_of
from trafficapp.engine.state_rows import is_forgotten, offset_of
from trafficapp.forecast.city.notices import judge_fresh
from trafficapp.forecast.city.roads import CityRoads, Fresh
from trafficapp.forecast.city.untold import as_told_before, is_untold
from trafficapp.notifications.notices import RoadNotices
from trafficapp.settings import JamSettings, NotificationSettings, SuspicionSettings

T0 = 1_771_300_000 // 300 * 300
HOUR, DAY = 3600, 86_400
RULES = RoadNotices(NotificationSettings())


#: Roads a, b, c, d, one behind the other.
NETWORK = RoadNetwork(graph_of(np.array([(44.5 + n / 1000, 11.3) for n in range(5)]), [(n, n + 1) for n in range(4)]))


def city(rows: dict[bytes, bytes] | None = None) -> CityRoads:
    return CityRoads(
        0, 300, 12, 600_000_000, 60_000_000, rows or {}, forget_us=24 * HOUR * 1_000_000,
        congestion=lambda row: CongestionEvents(JamSettings(), NETWORK, row, 1_800_000_000, SuspicionSettings()),
    )  # fmt: skip


def log_of(chance: random.Random) -> list[Any]:
    """Records some of whose clocks are ahead, of the feed's and of the worker that checked it."""
    now, sent, found = T0, list[RoadObservation](), list[Any]()
    ahead = 0
    for offset in range(chance.randint(1, 60)):
        kind = chance.random()
        if kind < 0.1:
            found += records([b"none"], offset, now + chance.choice((0, -900)))
        elif kind < 0.25 and sent:
            found += records([chance.choice(sent)], offset, now)
        else:
            now += chance.choice((1, 1, 40, 300, 300, 2 * HOUR, 25 * HOUR))
            if chance.random() < 0.3:
                ahead = chance.choice((0, 0, 0, 200, HOUR, DAY, 12 * DAY))
            at, late = now + ahead, chance.choice((0, 0, 10, 700))
            road = chance.choice("aabcd")
            sent.append(
                observation(
                    road,
                    at - late,
                    chance.choice((4, 20, 45, 60)),
                    len(sent),
                    edges=[(f"e{'abcd'.index(road)}", 1.0)],
                    record_timestamp=stamp(at),
                    jam_factor=chance.choice((1, 9.5)),
                    road_name=chance.choice(("Via Emilia", "Via Emilia", "Viale Emilia")),
                )
            )
            found += records([sent[-1]], offset, now + chance.choice((0, 0, 0, -900, 2 * DAY)))
    return found


def stamp(seconds: int) -> str:
    return observation("x", seconds, 1, 0).timestamp


class City:
    """The changelog, and all that was ever told or judged."""

    def __init__(self) -> None:
        self.changelog: list[tuple[bytes, bytes]] = []
        self.told: dict[str, bytes] = {}
        self.judged: set[tuple[str, Fresh]] = set()
        self.refused: dict[int, str] = {}
        self.documents: dict[tuple[str, str], CongestionEvent] = {}

    def newest(self) -> dict[str, CongestionEvent]:
        """Of each event what its readers have in the end."""
        return {one.event_id: one for one in sorted(self.documents.values(), key=lambda one: epoch_us(one.updated_at))}

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

    def send(self, notifications: Iterable[tuple[bytes, bytes]]) -> None:
        """Of an id the first counts, wherever it is read."""
        for _, value in notifications:
            self.told.setdefault(msgspec.json.decode(value)["event_id"], value)


class Owner:
    """What `agents.roads.forecasts` does, one step at a time."""

    def __init__(self, city_: City) -> None:
        self.city = city_
        self.states = city(city_.merged())
        self.untold = self.states.notifications
        self.unwritten: list[tuple[bytes, bytes]] = []

    def apply(self, log: list[Any], count: int) -> None:
        first = self.states.applied + 1
        self.states.apply(log[max(0, first - 2) : first + count])
        for record, error in self.states.refused:
            assert self.city.refused.setdefault(record.offset, error.reason) == error.reason

    def make_round(self, everything: bool) -> None:
        """Make a round, up to the rows that it will write."""
        states = self.states
        self.city.send(self.untold)
        self.untold = []
        if not states.owes_round:
            return
        for road_id, _, fresh in states.unjudged():
            # of which event it was part, an owner that went on from later rows does not know
            self.city.judged |= {(road_id, one._replace(event="")) for one in fresh}
        assert states.congestion is not None
        told = [notification_of(change) for change in states.congestion.take_changes()]
        told += [structs.replace(notice, congestion_event_id=None).told(0) for notice in judge_fresh(RULES, states, [])]
        for document in states.congestion.take_documents():
            self.city.documents[document.event_id, document.updated_at] = document
        raised = [(b"k", encode_notification(one)) for one in told]
        raised = as_told_before(raised, states.notifications)
        if states.is_catching_up:
            self.city.send(raised)
        else:
            self.untold = raised
        states.round_made(raised)
        states.prepare_rows()
        self.unwritten = states.all_rows() if everything else states.changed_rows()

    def write(self, count: int) -> None:
        """Write the next rows; what was raised is sent behind all of them."""
        self.city.changelog += self.unwritten[:count]
        self.unwritten = self.unwritten[count:]
        if not self.unwritten:
            self.city.send(self.untold)
            self.untold = []

    def go_on(self, log: list[Any], chance: random.Random) -> None:
        """One step of whatever is due."""
        if self.unwritten:
            self.write(chance.choice((1000, 1000, 1, 2, 3)))
        elif self.states.owes_round and chance.random() < 0.4:
            self.make_round(everything=chance.random() < 0.3)
        else:
            self.apply(log, chance.randint(1, 8))


def known(states: CityRoads) -> dict[str, Any]:
    """All that predictions and notifications are made from, at several times, and the rows."""
    windows = []
    roads = sorted(states.recent.road_ids)
    for ahead in (0, HOUR, DAY, 12 * DAY):
        window, last = states.recent.window(states.record_ms / 1000 + ahead)
        at = [states.recent.road_ids.index(road) for road in roads]
        windows.append((last, np.nan_to_num(window[:, at], nan=-1).tolist()))
    rows = [one for one in states.all_rows() if not is_untold(one[0]) and not is_forgotten(one[1])]
    return {"windows": windows, "roads": sorted(states.roads.items()), "rows": rows}


@settings(deadline=None, max_examples=150)
@given(seed=st.integers(0, 2**32))
def test_whoever_owns_the_partition(seed: int) -> None:
    chance = random.Random(seed)
    log = log_of(chance)
    alone = City()
    right = Owner(alone)
    right.apply(log, len(log))
    right.make_round(everything=False)
    right.write(1000)

    shared = City()
    owners = [Owner(shared)]
    for _ in range(chance.randint(0, 80)):
        match chance.choice(("go on", "go on", "go on", "go on", "frozen", "take over")):
            case "go on":
                owners[-1].go_on(log, chance)
            case "frozen":
                chance.choice(owners[-4:]).go_on(log, chance)
            case "take over":
                owners.append(Owner(shared))
    last = Owner(shared)
    last.apply(log, len(log))
    last.make_round(everything=False)
    last.write(1000)

    assert known(last.states) == known(right.states)
    assert known(city(shared.merged())) == known(right.states)
    assert shared.judged == alone.judged
    assert shared.told == alone.told
    assert shared.refused == alone.refused
    assert {name: one.state == "ended" for name, one in shared.newest().items()} == {
        name: one.state == "ended" for name, one in alone.newest().items()
    }
