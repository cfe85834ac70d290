"""Windows of zones in which riders tap on."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the table."""
    run_sql("0015_riders.sql")
