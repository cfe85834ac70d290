"""Personal data: no routes that somebody asked for; an audit log that can be shortened; what was erased."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0028"
down_revision = "0026"


def upgrade() -> None:
    """Forget routes, and make room for what was erased."""
    run_sql("0028_personal_data.sql")
