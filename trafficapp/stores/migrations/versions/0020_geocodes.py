"""What services outside said of places, and whose turn it is to ask them."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the tables."""
    run_sql("0020_geocodes.sql")
