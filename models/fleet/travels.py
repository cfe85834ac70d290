"""What vehicles do on edges of the road graph, on its way to the rules about the roads of the city."""

from __future__ import annotations

from msgspec import Struct

from models.roads.notifications import RoadNotification


class Travel(Struct, frozen=True, array_like=True, tag="t", gc=False):
    """What one vehicle drove on one edge, once, or a part of it.

    Attributes:
        edge: its name.
        vehicle: who; of public transport and other vehicles the same name is another one.
        metres: along the edge.
        seconds: that took.
        time_us: when it was over, microseconds since the epoch, by the broker's clock.
        is_bus: it is one of a vehicle that stops where traffic does not.
    """

    edge: str
    vehicle: str
    metres: float
    seconds: float
    time_us: int
    is_bus: bool = False


class WrongWay(Struct, frozen=True, array_like=True, tag="w", gc=False):
    """A vehicle drives against the direction of an edge, for certain.

    Attributes:
        edge: its name.
        vehicle: who.
        time_us: when, microseconds since the epoch, by the broker's clock.
        notification: what is to be told, unless it turns out that the road may be driven that way.
    """

    edge: str
    vehicle: str
    time_us: int
    notification: RoadNotification
