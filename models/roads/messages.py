"""Messages of the road-speed feed as producers send them: topic ``traffic-raw``."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from models.form import read_form
from models.roads.current import CLOSED_JAM_FACTOR, RoadIdentifier, RoadName

#: [longitude, latitude], and an altitude from those who have one.
_Place = Annotated[list[float], Meta(min_length=2, max_length=3)]
_MOST_POINTS = 1000

#: The provider of speeds that vehicles drove which were put onto the road graph here.
MATCHED_VEHICLES = "matched-vehicles"


class MatchedVehicles(NamedTuple):
    """Whom a speed is of: how many vehicles, and how far it is to be believed, 0 to 1."""

    vehicles: int
    credibility: float


#: Words of ``traversability`` (HERE Traffic v7) for a road on which nobody may drive, in small letters.
_CLOSED_WORDS = frozenset({"closed", "reversiblenotroutable"})


class RoadMessage(Struct, kw_only=True, frozen=True, gc=False):
    """A message as producers send it; further fields are ignored, and so is their opinion of the congestion.

    Attributes:
        timestamp: when the speed was measured: ISO 8601, or epoch seconds or milliseconds.
        road_id: of an edge or road of the graph, else whatever the producer calls it; the record key is the same.
        road_name: may be empty: the graph's name is used then.
        current_speed, free_flow_speed: km/h.
            Of a closed road they may be missing: the speed is 0 then, free flow None.
        jam_factor: 0 is free, 10 is closed.
        coordinates: the road's line as [longitude, latitude] in driving direction; may be empty where the graph knows
            the id.
        traversability: ``closed`` or ``reversibleNotRoutable`` close a road; whatever else stands there says nothing.
        confidence: 0..1 in the speed; whatever else stands there says nothing.
        provider: ``matched-vehicles`` of speeds that this application makes of vehicles' fixes; whatever else stands
            there says nothing.
        vehicles, credibility: of these, see `MatchedVehicles`.
    """

    event_id: RoadIdentifier
    timestamp: str | int | float
    road_id: RoadIdentifier
    road_name: RoadName
    current_speed: float
    free_flow_speed: float | None
    jam_factor: Annotated[float, Meta(ge=0, le=10)]
    coordinates: Annotated[list[_Place], Meta(max_length=_MOST_POINTS)]
    traversability: Any = None
    confidence: Any = None
    provider: Any = None
    vehicles: Any = None
    credibility: Any = None

    @property
    def is_closed(self) -> bool:
        """Whether it says that nobody may drive there."""
        return _closes(self.jam_factor, self.traversability)

    @property
    def confidence_told(self) -> float | None:
        """The confidence, if it is one."""
        told = self.confidence
        return float(told) if type(told) in (int, float) and 0 <= told <= 1 else None

    @property
    def matched(self) -> MatchedVehicles | None:
        """Whom its speed is of, if it is one of vehicles that were put onto the road here."""
        vehicles, credibility = self.vehicles, self.credibility
        if self.provider != MATCHED_VEHICLES or type(vehicles) is not int or vehicles < 1 or self.is_closed:
            return None
        if type(credibility) not in (int, float) or not 0 <= credibility <= 1:
            return None
        return MatchedVehicles(vehicles, float(credibility))


_decode = msgspec.json.Decoder(RoadMessage).decode


def decode_road_message(value: bytes | None) -> RoadMessage:
    """Read a message.

    Raises:
        Rejected: it has not the form of one; ids may be numbers.
    """
    return read_form(value, RoadMessage, _decode, ("event_id", "road_id"), _forgive)


def _forgive(message: dict[str, Any]) -> None:
    """Complete what closes a road: who measures speeds has none of a road on which nobody drives."""
    if _closes(message.get("jam_factor"), message.get("traversability")):
        for name, nothing in (("current_speed", 0.0), ("free_flow_speed", None)):
            if message.get(name) is None:
                message[name] = nothing


def _closes(jam_factor: Any, traversability: Any) -> bool:
    return (type(jam_factor) in (int, float) and jam_factor >= CLOSED_JAM_FACTOR) or (
        isinstance(traversability, str) and traversability.lower() in _CLOSED_WORDS
    )
