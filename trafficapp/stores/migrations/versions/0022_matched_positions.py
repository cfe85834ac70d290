"""Which road each fix of a vehicle is on."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the columns."""
    run_sql("0022_matched_positions.sql")
