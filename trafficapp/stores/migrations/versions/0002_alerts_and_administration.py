"""Alerts, acknowledgements, audit log, thresholds, zones, pending publications."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    run_sql("0002_alerts_and_administration.sql")
