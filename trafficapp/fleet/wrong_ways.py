"""Who drives against a one-way road, and when so many do that the road graph must be wrong.

Driving the wrong way is rare. When different vehicles do so on one edge within days, the road may be driven that way,
and the graph lacks that: an edge of its own for the other direction, or a bus lane against it. Then nobody is told.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct, field

from models.fleet.travels import WrongWay
from models.roads.notifications import encode_notification
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.feeds.rules import Told
from trafficapp.topics import NOTIFICATIONS

logger = logging.getLogger(__name__)

#: So long it is remembered who drove against an edge.
REMEMBERED_US = 7 * 86_400 * MICROSECONDS_PER_SECOND

#: Rows of these stand beside those of speeds: no text begins with this byte.
_PREFIX = b"\xff"


class Against(Struct, array_like=True, gc=False):
    """What is remembered of an edge; its state row.

    Attributes:
        vehicles: those that drove against it, and when last, microseconds since the epoch by the broker's clock; the
            newest stand last. One more than are told is as good as all.
    """

    vehicles: dict[str, int] = field(default_factory=dict)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Against).decode


class WrongWays:
    """All edges of the city.

    Args:
        most_vehicles: so many different ones within a week are told; further ones are not.
        rows: what was to be remembered; only rows of wrong ways are read.
    """

    def __init__(self, most_vehicles: int, rows: Mapping[bytes, bytes]) -> None:
        self._most = most_vehicles
        self._edges = {key[1:].decode(): _decode(row) for key, row in rows.items() if is_wrong_way_row(key)}
        self._changed: dict[str, None] = {}

    def take(self, wrong_way: WrongWay) -> Iterable[Told]:
        """Take in that a vehicle drives against an edge; what is told of it."""
        name, time_us = wrong_way.edge, wrong_way.time_us
        edge = self._edges.setdefault(name, Against())
        self._changed[name] = None
        before, since_us = edge.vehicles, time_us - REMEMBERED_US
        known = {vehicle: last_us for vehicle, last_us in edge.vehicles.items() if last_us > since_us}
        known.pop(wrong_way.vehicle, None)
        others = len(known)
        known[wrong_way.vehicle] = time_us
        # the newest stay, so the graph is doubted as long as vehicles drive there
        edge.vehicles = dict(list(known.items())[-self._most - 1 :])
        if others >= self._most:
            if len(edge.vehicles) > len(before):
                logger.warning(
                    "more than %d vehicles drove against %s within a week: it seems that the road graph lacks a "
                    "direction there, and nobody is told to drive the wrong way",
                    self._most,
                    name,
                )
            return ()
        notification = wrong_way.notification
        return (Told(NOTIFICATIONS, notification.road_id.encode(), encode_notification(notification)),)

    def tick(self, now_us: int) -> None:
        """Forget edges against which nobody drove for long."""
        for name in [name for name, one in self._edges.items() if max(one.vehicles.values()) <= now_us - REMEMBERED_US]:
            del self._edges[name]
            self._changed[name] = None

    def erase(self, vehicle_ids: Collection[str]) -> None:
        """Forget vehicles."""
        for name, edge in list(self._edges.items()):
            if edge.vehicles.keys() & vehicle_ids:
                for vehicle in vehicle_ids:
                    edge.vehicles.pop(vehicle, None)
                if not edge.vehicles:
                    del self._edges[name]
                self._changed[name] = None

    def changed_rows(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Each edge that changed since the last call."""
        changed, self._changed = self._changed, {}
        for name in changed:
            edge = self._edges.get(name)
            yield _PREFIX + name.encode(), None if edge is None else _encode(edge)


def is_wrong_way_row(key: bytes) -> bool:
    """Whether a row says who drove against an edge."""
    return key.startswith(_PREFIX)
