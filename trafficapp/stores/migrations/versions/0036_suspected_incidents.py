"""Incidents that a rule suspects on roads of congestion events."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Make room for them."""
    run_sql("0036_suspected_incidents.sql")
