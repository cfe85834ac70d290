"""What history workers do by the clock."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table."""
    run_sql("0005_upkeep.sql")
