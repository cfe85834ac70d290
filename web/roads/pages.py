"""Lists of roads, in order of their ids."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

MAX_ROADS = 10_000


class RoadsQuery(Struct, frozen=True, kw_only=True):
    """Which roads, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=MAX_ROADS)] = MAX_ROADS
    cursor: str | None = None
