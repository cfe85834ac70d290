"""What vehicles drove on edges of the road graph, on its way to the rules that make road speeds of it."""

from __future__ import annotations

from msgspec import Struct


class Travel(Struct, frozen=True, array_like=True, gc=False):
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
