"""A role that works and owns nothing: what it needs a table's owner for, functions do for it."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Let the two functions that make and drop partitions run as their owner."""
    run_sql("0029_work_role.sql")
