"""Trajectories of connected cars and trackers."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Make the table."""
    run_sql("0016_fleet.sql")
