"""Regional outages of cameras."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Make the tables."""
    run_sql("0041_regional_outages.sql")
