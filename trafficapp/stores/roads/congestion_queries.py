"""What the web asks of the table of congestion events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.roads.congestion import (
    CongestionCause,
    CongestionEvent,
    CongestionPlace,
    CongestionRoad,
    SuspectedIncident,
)
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_SELECT = "SELECT * FROM congestion_events WHERE event_id = $1::uuid"

_place = msgspec.json.Decoder(CongestionPlace).decode
_cause = msgspec.json.Decoder(CongestionCause | None).decode
_suspected = msgspec.json.Decoder(SuspectedIncident | None).decode
_roads = msgspec.json.Decoder(list[CongestionRoad]).decode


async def stored_event(pool: Pool, event_id: str) -> CongestionEvent | None:
    """A congestion event as it was told last; None when there is none of this id."""
    row = await pool.fetchrow(_SELECT, event_id)
    if row is None:
        return None
    head = _place(row["head"])
    return shaped(
        CongestionEvent,
        row,
        latitude=head.latitude,
        longitude=head.longitude,
        head=head,
        tail=_place(row["tail"]),
        cause=_cause(row["cause"] or b"null"),
        roads=_roads(row["roads"]),
        suspected_incident=_suspected(row["suspected_incident"] or b"null"),
    )
