"""What operators shelve, and which cameras stand on which congestion event."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Make room for them."""
    run_sql("0032_alarm_management.sql")
