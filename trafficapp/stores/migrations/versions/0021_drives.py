"""Trips of vehicles, zones that they entered and left, how they were driven."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Make the tables, and the rule of which places lie in a zone."""
    run_sql("0021_drives.sql")
