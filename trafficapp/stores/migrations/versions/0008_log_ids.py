"""Which log an offset is of."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    run_sql("0008_log_ids.sql")
