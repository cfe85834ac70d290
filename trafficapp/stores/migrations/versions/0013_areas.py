"""Area counters: each area as of its newest reading, and every reading."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    run_sql("0013_areas.sql")
