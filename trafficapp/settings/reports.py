"""Settings of reports that are made by the clock."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from trafficapp.settings.due_times import NIGHTLY_PATTERN, WEEKLY_PATTERN
from trafficapp.settings.sections import Section


class ReportSettings(Section):
    """Reports that a history worker makes by the clock."""

    daily: str = Field(
        "",
        pattern=NIGHTLY_PATTERN,
        description="When the report on the day before is made, in the city's time, as 05:00; empty is never.",
    )
    weekly: str = Field(
        "",
        pattern=WEEKLY_PATTERN,
        description="When the report on the seven days before is made, likewise, as mon 05:30; empty is never.",
    )
    folder: Path = Field(Path("build/reports"), description="Where these reports are kept.")
    keep: int = Field(400, ge=1, le=10_000, description="How many are kept; the oldest go first.")
    webhook_url: SecretStr | None = Field(
        None, description="Where each of them is sent as well: POST with the PDF as body; it may hold a secret."
    )

    @field_validator("webhook_url")
    @classmethod
    def _is_http(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None or not url.get_secret_value():
            return None  # as compose says that there is none
        if not re.match(r"https?://[^/\s]+", url.get_secret_value()):
            raise ValueError("it does not begin with http:// or https://")
        return url
