"""Predictions say of each horizon who made it."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the column; earlier predictions had one maker for all horizons."""
    run_sql("0031_who_predicted.sql")
