"""The last value that predictions are compared with, and spans of simulated feeds."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column and let spans have no seed."""
    run_sql("0007_honest_labels.sql")
