"""Sums of windows by the minute and by the hour."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create them, and fill them from the windows that are there."""
    run_sql("0003_rollups.sql")
