"""Closed roads and the confidence of speeds."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the columns."""
    run_sql("0009_closed_roads.sql")
