"""Readings of weather stations."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Make the table."""
    run_sql("0018_weather.sql")
