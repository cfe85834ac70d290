"""Single vehicles that drive through the simulated city at the speeds of their edges.

They enter where and as often as the flow says, take turns by the same shares, and on an edge of mean speed v a share of
them stands and the others move, so that their mean is v (`standing`). So what cameras and probes see agrees with
the speeds that the feed tells, without being told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trafficapp.simulation.city import Bools, City, Floats, Integers
from trafficapp.simulation.flow import MinuteTraffic
from trafficapp.simulation.standing import moving_kmh, standing_share

#: Class, share of the vehicles as in the recording, width and height in metres.
FLEET: tuple[tuple[str, float, float, float], ...] = (
    ("car", 0.860, 1.8, 1.5),
    ("van", 0.084, 2.0, 2.0),
    ("truck", 0.043, 2.3, 2.8),
    ("bus", 0.013, 2.5, 3.2),
)
#: One vehicle in so many tells its position.
VEHICLES_PER_PROBE = 14

_STANDING_SECONDS = 20.0
#: Share of the standing vehicles that go on within a second.
GOES_SHARE = 1 / _STANDING_SECONDS
_OWN_SPEED_DEVIATION = 0.06
#: Within a second nobody drives over more short edges than these.
_MOST_EDGES_A_SECOND = 12


@dataclass
class Fleet:
    """All vehicles under way, one entry each in every array.

    Attributes:
        number: counts vehicles up from 0, so it names one.
        edge: position of the edge it is on.
        lane: lane of that edge, from 0.
        position_m: how far its front has come on the edge.
        speed_kmh: at which it moved last.
        kind: place in `FLEET`.
    """

    number: Integers
    edge: Integers
    lane: Integers
    position_m: Floats
    speed_kmh: Floats
    kind: Integers
    own_speed: Floats
    stands: Bools

    def __len__(self) -> int:
        return len(self.number)


class Vehicles:
    """Moves vehicles second by second.

    Args:
        city: the city.
        traffic: of one day's minute; as many vehicles as it says are there from the start.
        chance: the source of chance.
    """

    def __init__(self, city: City, traffic: MinuteTraffic, chance: np.random.Generator) -> None:
        self._city, self._chance = city, chance
        graph = city.graph
        order = np.argsort(graph.turn_from, kind="stable")
        self._turn_to = graph.turn_to[order]
        shares, begins = city.turn_share[order], graph.turn_from[order]
        before = np.cumsum(shares) - shares
        first = np.searchsorted(begins, begins)
        # edge + sum of shares up to a turn: a number drawn in [edge, edge + 1) finds its turn
        self._turn_until = begins + np.minimum(before - before[first] + shares, 1.0)
        self._entered = 0
        self._set_speeds(traffic)
        edges = np.repeat(np.arange(graph.edge_count), chance.poisson(traffic.vehicles[0]))
        self.fleet = self._new(edges)
        self.fleet.position_m = chance.random(len(edges)) * graph.length_m[edges]
        self.fleet.stands = chance.random(len(edges)) < self._standing[edges]

    def step(self, traffic: MinuteTraffic) -> Fleet:
        """Move on by a second; return all vehicles."""
        self._set_speeds(traffic)
        fleet, chance = self.fleet, self._chance
        stop = stop_shares(self._standing[fleet.edge])
        fleet.stands ^= chance.random(len(fleet)) < np.where(fleet.stands, GOES_SHARE, stop)
        fleet.speed_kmh = np.where(fleet.stands, 0.0, self._moving_kmh[fleet.edge] * fleet.own_speed)
        fleet.position_m = fleet.position_m + fleet.speed_kmh / 3.6
        gone = self._pass_ends(fleet)
        edges = np.repeat(np.arange(len(self._standing)), chance.poisson(traffic.entered_vph[0] / 3600))
        entering = self._new(edges)
        for name, values in vars(fleet).items():
            setattr(fleet, name, np.concatenate([values[~gone], getattr(entering, name)]))
        return fleet

    def _set_speeds(self, traffic: MinuteTraffic) -> None:
        self._standing = standing_share(traffic.speed_kmh[0])
        self._moving_kmh = moving_kmh(traffic.speed_kmh[0])

    def _new(self, edges: Integers) -> Fleet:
        """Vehicles at the beginning of edges. They move: who stands came to a stand on the edge."""
        count, chance = len(edges), self._chance
        numbers = np.arange(self._entered, self._entered + count)
        self._entered += count
        own_speed = own_speeds(chance, count)
        shares = [share for _, share, _, _ in FLEET]
        return Fleet(
            number=numbers,
            edge=edges,
            lane=self._some_lane(edges),
            position_m=np.zeros(count),
            speed_kmh=self._moving_kmh[edges] * own_speed,
            kind=chance.choice(len(FLEET), count, p=shares),
            own_speed=own_speed,
            stands=np.zeros(count, bool),
        )

    def _some_lane(self, edges: Integers) -> Integers:
        lanes: Integers = (self._chance.random(len(edges)) * self._city.graph.lanes[edges]).astype(np.int64)
        return lanes

    def _pass_ends(self, fleet: Fleet) -> Bools:
        """Take those past the end of their edge onto the next one; return who has arrived."""
        length_m, chance = self._city.graph.length_m, self._chance
        gone = np.zeros(len(fleet), bool)
        for _ in range(_MOST_EDGES_A_SECOND):
            over = np.flatnonzero((fleet.position_m > length_m[fleet.edge]) & ~gone)
            if not len(over):
                break
            before = fleet.edge[over]
            arrived = chance.random(len(over)) < self._city.arrive_share[before]
            gone[over[arrived]] = True
            over, before = over[~arrived], before[~arrived]
            turns = np.searchsorted(self._turn_until, before + chance.random(len(over)) * (1 - 1e-9), side="right")
            after = self._turn_to[np.minimum(turns, len(self._turn_to) - 1)]
            fleet.position_m[over] -= length_m[before]
            fleet.edge[over] = after
            fleet.lane[over] = self._some_lane(after)
        return gone


def stop_shares(standing: Floats) -> Floats:
    """Share of the moving vehicles that stop within a second where this share of all stands."""
    shares: Floats = standing / np.maximum(1 - standing, 1e-3) / _STANDING_SECONDS
    return shares


def own_speeds(chance: np.random.Generator, count: int) -> Floats:
    """How fast each of some vehicles drives, as a share of what all do."""
    speeds: Floats = np.clip(1 + _OWN_SPEED_DEVIATION * chance.normal(size=count), 0.8, 1.2)
    return speeds
