"""How many vehicles a road's speed is of, where it is one of matched vehicles."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the columns."""
    run_sql("0024_speeds_of_vehicles.sql")
