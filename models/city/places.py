"""Body of ``/api/places``: what in the city has a name, found by it."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

PlaceKind = Literal["street", "camera", "zone"]


class NamedPlace(Struct, frozen=True, kw_only=True):
    """Something with a name and a place.

    Attributes:
        id: of the camera or zone; of a street its name.
        latitude, longitude: degrees WGS 84: of a street a place on it near its middle, of a zone one inside of it.
    """

    kind: PlaceKind
    id: str
    name: str
    latitude: float
    longitude: float


encode_places = msgspec.json.Encoder().encode
