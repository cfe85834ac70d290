"""Regional outages of cameras, and minutes of feeds."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    """Make the tables."""
    run_sql("0041_regional_outages.sql")
    run_sql("0041_feed_minutes.sql")
    run_sql("0041_unhealthy_spans.sql")
