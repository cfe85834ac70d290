"""Sums of road observations by the hour and by the day."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables and the triggers that keep them."""
    run_sql("0006_road_sums.sql")
