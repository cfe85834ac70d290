"""Sketches of speeds as bytes, and what is not in the sums of lanes yet."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Turn sketches of sums into bytes, and make the table."""
    run_sql("0043_pending_lane_sums.sql")
