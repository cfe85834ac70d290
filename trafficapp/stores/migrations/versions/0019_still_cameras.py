"""What still cameras said."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Make the table."""
    run_sql("0019_still_cameras.sql")
