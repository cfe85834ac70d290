"""Congestion events, and notifications that one of them tells of in their place."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Make room for them."""
    run_sql("0030_congestion_events.sql")
