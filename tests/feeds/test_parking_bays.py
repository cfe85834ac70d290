"""A feed that was only declared does all that a feed owes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.feeds.kit import FeedOwes
from tests.feeds.parking_bays import PARKING_BAYS, TABLE


def bay(key: str, timestamp: str, number: int) -> dict[str, Any]:
    return {"bay_id": key, "occupied": number % 2 == 0, "timestamp": timestamp, "lat": 44.5, "lon": 11.25 + number}


class TestBaysOfTrustedProducers(FeedOwes):
    """The same feed without an inner topic."""

    feed = replace(PARKING_BAYS, rekey=False)
    table = TABLE
    make = staticmethod(bay)


class TestParkingBays(FeedOwes):
    feed = PARKING_BAYS
    table = TABLE

    make = staticmethod(bay)
