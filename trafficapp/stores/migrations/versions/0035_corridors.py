"""Corridors."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0035"
down_revision = "0033"


def upgrade() -> None:
    """Add the table."""
    run_sql("0035_corridors.sql")
