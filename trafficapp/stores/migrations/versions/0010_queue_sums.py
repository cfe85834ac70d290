"""Queues in the sums of windows."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the columns, and have them filled."""
    run_sql("0010_queue_sums.sql")
