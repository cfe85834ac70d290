"""Errors of forecasts by speed band, and those of cameras."""

from __future__ import annotations

from trafficapp.stores.migrations import run_sql

revision = "0038"
down_revision = "0036"


def upgrade() -> None:
    """Earlier sums stay, without a band."""
    run_sql("0038_forecasts_by_band.sql")
