"""When cameras were registered and changed; levels that do not occur; zones without a description."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns, and allow what was refused."""
    run_sql("0011_cameras_and_thresholds.sql")
