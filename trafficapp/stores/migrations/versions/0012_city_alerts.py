"""Alerts about what the city's feeds say."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    run_sql("0012_city_alerts.sql")
