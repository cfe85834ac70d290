"""A worker with one feed more than the application has: ``faust -A tests.feeds.worker worker``."""

from __future__ import annotations

from tests.feeds.parking_bays import PARKING_BAYS
from trafficapp.application import create_app
from trafficapp.feeds.declared import FEEDS

app = create_app(feeds=(*FEEDS, PARKING_BAYS))
