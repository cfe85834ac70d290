"""Raw events, finished windows, sink offsets, cameras and the book of time partitions."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    run_sql("0001_history.sql")
