"""Positions of vehicles of public transport."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the table."""
    run_sql("0014_transit.sql")
