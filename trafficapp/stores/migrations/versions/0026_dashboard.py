"""What the dashboard asks for: the past played back, comments on alerts."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add indexes and a table."""
    run_sql("0026_dashboard.sql")
