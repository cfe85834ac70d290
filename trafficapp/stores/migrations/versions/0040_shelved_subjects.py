"""Shelves of alerts of the city's other feeds."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0040"
down_revision = "0038"


def upgrade() -> None:
    """Shelves stay as they are."""
    run_sql("0040_shelved_subjects.sql")
