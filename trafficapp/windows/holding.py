"""How much may be held of a camera: what its state row takes, byte by byte.

A row is MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md). The figures here are the most that a part
can take there, so a row is never larger than what was counted, and always fits into a record of the changelog.
"""

from __future__ import annotations

#: Open windows and places of one camera, in bytes of its state row. Half of what a record may have
#: (`trafficapp.topics.MAX_RECORD_BYTES`). Twelve pictures a second of five hundred new vehicles need a half of it.
MAX_CAMERA_BYTES = 4 << 20

#: Head of a text, and a character of it.
TEXT_BYTES = 5
MOST_CHARACTER_BYTES = 4
_INTEGER_BYTES = 9
_CONTAINER_BYTES = 5

#: A frame in a window: its number, and a list of what was seen in it.
FRAME_BYTES = _INTEGER_BYTES + _CONTAINER_BYTES

#: A lane in a window: its number, four numbers, four containers, and the list of them all.
LANE_BYTES = 5 * _INTEGER_BYTES + 5 * _CONTAINER_BYTES

#: A speed in a lane.
SPEED_BYTES = 9

#: A window: its start, two containers, its size, and the list of them.
WINDOW_BYTES = 2 * _INTEGER_BYTES + 3 * _CONTAINER_BYTES

#: Where a vehicle was seen, beside its name: three numbers in a list.
_SIGHTING_BYTES = 3 * _INTEGER_BYTES + _CONTAINER_BYTES

#: One detection, whose names have 256 characters at most: in its frame, as a vehicle, its class, in another class,
#: stopped, and its place.
MOST_DETECTION_BYTES = 16 << 10


def name_bytes(name: str) -> int:
    """The most that a name takes."""
    return TEXT_BYTES + (len(name) if name.isascii() else len(name.encode()))


def place_bytes(vehicle_id: str) -> int:
    """The most that the place of a vehicle takes."""
    return name_bytes(vehicle_id) + _SIGHTING_BYTES
