"""Still cameras of the simulated city: each square from above, as a small picture with a dot for each vehicle."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import orjson

from trafficapp.roads.graph.earth import FlatMap
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.simulation.city import Floats, Integers
from trafficapp.simulation.feeds.forms import LocalClock, MessageIds
from trafficapp.simulation.feeds.squares import RADIUS_M, Squares
from trafficapp.simulation.probes import places_along
from trafficapp.simulation.vehicles import Fleet
from trafficapp.sources.outgoing import Outgoing

TRAFFIC_CAMERA_DATA = "traffic_camera_data"

TELL_SECONDS = 60
#: Width and height of a picture.
PIXELS = 96
_METRES_PER_PIXEL = 2 * RADIUS_M / PIXELS
_GROUND, _ROAD, _VEHICLE = 235, 170, 20
_PNG = b"\x89PNG\r\n\x1a\n"

_Picture = npt.NDArray[np.uint8]


class StillCameras:
    """Takes pictures of squares.

    Args:
        graph: the road graph.
        squares: one camera hangs over each.
        clock: of the cameras.
        ids: of messages.
    """

    def __init__(self, graph: RoadGraph, squares: Squares, clock: LocalClock, ids: MessageIds) -> None:
        self._graph, self._squares, self._clock, self._ids = graph, squares, clock, ids
        self._flat = FlatMap(float(graph.node_lat.mean()))
        self._empty = [
            _dotted(np.full((PIXELS, PIXELS), _GROUND, np.uint8), self._pixels(place, *line), _ROAD)
            for place, line in zip(squares.places, squares.lines, strict=True)
        ]

    def pictures(self, fleet: Fleet, second: int, time_us: int) -> Iterator[Outgoing]:
        """Yield what is taken in a second.

        Args:
            fleet: all vehicles.
            second: since the start; in the first one, all cameras take one.
            time_us: when that is.
        """
        for number, (place, empty) in enumerate(zip(self._squares.places, self._empty, strict=True)):
            if second and second % TELL_SECONDS != number * TELL_SECONDS // len(self._empty):
                continue
            seen = self._squares.around(number, fleet)
            lat, lon, _ = places_along(self._graph, fleet.edge[seen], fleet.position_m[seen])
            picture = _dotted(empty.copy(), self._pixels(place, lat, lon), _VEHICLE)
            message = {
                "id": self._ids.next(),
                "device_id": f"mast-{number + 1}",
                "camera_id": f"still-{number + 1}",
                "timestamp": self._clock.naive(time_us),
                "snapshot": b64encode(png(picture)).decode(),
                "location": [round(degrees, 6) for degrees in place],
                "direction": "North",
                "speed": round(float(fleet.speed_kmh[seen].mean()), 1) if len(seen) else None,
            }
            yield Outgoing(time_us, str(message["id"]).encode(), orjson.dumps(message), 0, TRAFFIC_CAMERA_DATA)

    def _pixels(self, middle: tuple[float, float], lat: Floats, lon: Floats) -> Integers:
        """Rows and columns of places; north is up."""
        east_north = self._flat.metres(lat, lon) - self._flat.metres(np.array(middle[0]), np.array(middle[1]))
        column, row = (east_north * (1, -1) / _METRES_PER_PIXEL + PIXELS / 2).T.astype(np.int64)
        pixels: Integers = np.clip(np.array([row, column]), 1, PIXELS - 2)
        return pixels


def png(picture: _Picture) -> bytes:
    """A picture in shades of grey as PNG (ISO/IEC 15948)."""
    height, width = picture.shape
    # each row begins with its filter: none
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = picture
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes(), 6)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return _PNG + b"".join(chunks)


def _dotted(picture: _Picture, pixels: Integers, shade: int) -> _Picture:
    """The same picture with dots of three by three pixels."""
    row, column = pixels
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            picture[row + down, column + right] = shade
    return picture
