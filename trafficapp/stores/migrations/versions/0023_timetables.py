"""Stops that runs of public transport have served, and what became of runs."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the tables."""
    run_sql("0023_timetables.sql")
