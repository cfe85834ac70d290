"""Sketches of speeds in windows, and sums of windows by camera and lane."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add the columns and the tables, and partitions for the windows that there are."""
    run_sql("0033_lane_sums.sql")
