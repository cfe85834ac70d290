"""How full a vehicle is, in the words of GTFS Realtime."""

from __future__ import annotations

from collections.abc import Mapping

from models.transit.vehicles import OccupancyStatus
from trafficapp.settings.transit import VehicleRoom


def occupancy(
    kind: str, passengers: int | None, capacity: Mapping[str, VehicleRoom]
) -> tuple[OccupancyStatus, int | None]:
    """The word, and the share of the room that is taken in percent, which may be more than 100.

    GTFS Realtime leaves it to the operator where one word ends: many seats are left while half of them are, there is
    standing room only once all are taken, and it is crushed once half of that is taken, too.

    Args:
        kind: type of the vehicle, in small letters.
        passengers: in it; None when nobody counts them.
        capacity: room by type.
    """
    room = capacity.get(kind)
    if room is None or passengers is None:
        return "NO_DATA_AVAILABLE", None
    takes = room.seats + room.standing
    percentage = round(100 * passengers / takes)
    if passengers >= takes:
        return "FULL", percentage
    if passengers == 0:
        return "EMPTY", percentage
    if passengers < room.seats:
        return "MANY_SEATS_AVAILABLE" if 2 * passengers <= room.seats else "FEW_SEATS_AVAILABLE", percentage
    half_full = 2 * (passengers - room.seats) < room.standing
    return "STANDING_ROOM_ONLY" if half_full else "CRUSHED_STANDING_ROOM_ONLY", percentage
