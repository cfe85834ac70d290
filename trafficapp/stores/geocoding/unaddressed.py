"""Rows of area counters that lack an address, and writing it into them (table ``traffic_data``).

An address is written only into a row that still has the coordinates that it was looked up for, and never over one that
a better source has named meanwhile.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from trafficapp.geocoding.addresses import PROVISIONAL, UNKNOWN, Address, metres_between

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Rows that are looked at in one statement.
PAGE_ROWS: Final = 1000

_ON_EARTH: Final = "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180"
_PAGE: Final = f"""
    SELECT stream_id, latitude, longitude FROM traffic_data
    WHERE ($1::uuid IS NULL OR stream_id > $1) AND {{which}} AND {_ON_EARTH} ORDER BY stream_id LIMIT {PAGE_ROWS}
"""  # noqa: S608 - put together from constants
#: Rows that nobody looked at, and rows that a better source may name.
WITHOUT: Final = "address_source IS NULL"
IMPROVABLE: Final = f"address_source IN ('{PROVISIONAL[0]}', '{PROVISIONAL[1]}')"

_WRITE: Final = f"""
    WITH named AS (
        SELECT * FROM unnest(
            $1::uuid[], $2::double precision[], $3::double precision[],
            $4::text[], $5::text[], $6::text[], $7::text[], $8::double precision[]
        ) AS named (stream_id, latitude, longitude, source, fulladdress, city, province, distance_m)
    ), kept AS (
        -- in the order of the key, as the writer of the rows does, so that neither waits for the other for ever
        SELECT data.stream_id FROM traffic_data AS data JOIN named USING (stream_id, latitude, longitude)
        WHERE data.address_source IS NULL
            OR (data.{IMPROVABLE} AND (named.source <> ALL ('{{{",".join(PROVISIONAL)}}}')))
        ORDER BY data.stream_id FOR UPDATE OF data
    )
    UPDATE traffic_data AS data SET
        fulladdress = named.fulladdress, city = named.city, province = named.province,
        address_source = named.source, address_distance_m = named.distance_m
    FROM named JOIN kept USING (stream_id)
    WHERE data.stream_id = kept.stream_id AND data.latitude = named.latitude AND data.longitude = named.longitude
"""  # noqa: S608 - likewise


class Place(NamedTuple):
    """Where a row says that its counter stands, degrees WGS 84."""

    stream_id: uuid.UUID
    latitude: float
    longitude: float


class Named(NamedTuple):
    """A row with what a source says of its place."""

    place: Place
    address: Address

    @property
    def distance_m(self) -> float | None:
        """From the counter to what was named; None when nothing was."""
        latitude, longitude = self.address.latitude, self.address.longitude
        if latitude is None or longitude is None:
            return None
        return round(metres_between(self.place.latitude, self.place.longitude, latitude, longitude), 1)


class Pages:
    """Goes round all rows of a kind, a page at a time.

    Args:
        pool: of Postgres.
        which: `WITHOUT` or `IMPROVABLE`.
    """

    def __init__(self, pool: Pool, which: str) -> None:
        self._pool = pool
        self._sql = _PAGE.format(which=which)
        self._after: uuid.UUID | None = None

    async def next_page(self) -> tuple[list[Place], bool]:
        """The next rows, and whether they are the last ones of a round; then it begins anew.

        Raises:
            asyncpg.PostgresError, OSError: Postgres is away.
        """
        async with self._pool.acquire() as connection:
            rows = await connection.fetch(self._sql, self._after)
        is_last = len(rows) < PAGE_ROWS
        self._after = None if is_last else rows[-1]["stream_id"]
        return [Place(*row) for row in rows], is_last


async def write(pool: Pool, rows: Collection[Named]) -> int:
    """Write addresses into rows.

    Returns:
        into how many; the others have moved, are gone, or have a better one.

    Raises:
        asyncpg.PostgresError, OSError: Postgres is away.
    """
    if not rows:
        return 0
    written = 0
    async with pool.acquire() as connection:
        for piece in _pieces(list(rows)):
            places, addresses = [row.place for row in piece], [row.address for row in piece]
            status = await connection.execute(
                _WRITE,
                [place.stream_id for place in places],
                [place.latitude for place in places],
                [place.longitude for place in places],
                [address.source for address in addresses],
                [address.fulladdress for address in addresses],
                [address.city for address in addresses],
                [address.province for address in addresses],
                [row.distance_m for row in piece],
            )
            written += int(status.split()[-1])
    return written


def unknown_beyond(address: Address, distance_m: float, reach_m: float) -> Address:
    """An address of a place nearby, or of one too far away to name anything: then only where that is."""
    if distance_m <= reach_m:
        return address
    return Address(source=UNKNOWN, latitude=address.latitude, longitude=address.longitude)


def _pieces(rows: Sequence[Named]) -> list[Sequence[Named]]:
    return [rows[first : first + PAGE_ROWS] for first in range(0, len(rows), PAGE_ROWS)]
