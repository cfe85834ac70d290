"""Who was authenticated when somebody acknowledged an alert or changed something, beside the name he told."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the columns."""
    run_sql("0025_authenticated_callers.sql")
