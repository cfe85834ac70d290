"""Roads: observations, predictions and their scores, notifications."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables."""
    run_sql("0004_roads.sql")
