"""Settings of ClickHouse, for who keeps history there beside Postgres."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from trafficapp.settings.sections import Seconds, Section


class ClickHouseSettings(Section):
    """A ClickHouse that rows of feeds also go to, by workers of the role ``clickhouse``. Without ``url`` none do."""

    url: str | None = Field(None, description="Its HTTP interface, such as http://127.0.0.1:8123; none: it is off.")
    user: str = Field("default", min_length=1, description="Who we are there.")
    password: SecretStr = Field(SecretStr(""), description="Password of the user.")
    database: str = Field("trafficapp", pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", description="Database of the tables.")
    feeds: tuple[str, ...] = Field(
        (), description="Names of the feeds whose rows go there; empty: of every feed that has a history."
    )
    timeout_seconds: Seconds = Field(30.0, description="How long an answer may take.")
    pause_seconds: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Least time between two insertions into a table, unless much waits: ClickHouse wants few and large "
        "ones.",
    )

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s?#@]+(?:/[^\s?#]*)?$", url):
            raise ValueError("it is no address such as http://127.0.0.1:8123; user and password are settings, too")
        return url
