"""Incidents and their reports."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0017"
down_revision = "0012"


def upgrade() -> None:
    """Make the tables."""
    run_sql("0017_incidents.sql")
