"""When alerts became alarms that people are told of."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    """Known alerts were told when they were triggered."""
    run_sql("0042_alarm_times.sql")
