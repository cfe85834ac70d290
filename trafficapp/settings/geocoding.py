"""Settings of addresses: who is asked where an area counter stands, and how often."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator

from trafficapp.settings.sections import Seconds, Section


class GeocodingSettings(Section):
    """Addresses of area counters. Without ``url`` nothing outside is asked."""

    url: str | None = Field(
        None,
        description="Address of a service that speaks Nominatim's API, such as https://nominatim.example.org; without "
        "one, places are named by what ships with the application.",
    )
    api_key: SecretStr | None = Field(None, description="Key that the service wants, if it wants one.")
    api_key_parameter: str = Field(
        "key", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="Name of the parameter that carries the key."
    )
    timeout_seconds: Seconds = Field(10.0, le=300, description="How long an answer may take.")
    user_agent: str = Field(
        "trafficapp",
        pattern=r"^[\x20-\x7e]{1,200}$",
        description="How we name ourselves; operators of public services want an address of yours in it.",
    )
    language: str = Field(
        "",
        pattern=r"^[\x20-\x7e]{0,100}$",
        description="Language of addresses, as in Accept-Language; empty: as people there write them.",
    )
    pause_seconds: float = Field(
        1.0,
        ge=1.0,
        description="Least time from an answer to the next request, of all workers together; the usage policy of the "
        "public Nominatim allows one request a second at most.",
    )
    cell_decimals: int = Field(
        4,
        ge=1,
        le=6,
        description="Counters whose coordinates are the same when rounded to so many decimals share an answer; 4 are "
        "11 m at most.",
    )
    cache_days: float = Field(90.0, gt=0, description="How long an answer is taken from the cache.")
    nothing_days: float = Field(7.0, gt=0, description="How long it is known that the service names nothing there.")
    offline_fallback: bool = Field(
        True,
        description="Whether places that ship with the application name what the service has not named yet, or cannot.",
    )
    offline_reach_m: float = Field(
        30_000.0, gt=0, description="A place further away than this names nothing: the address is unknown."
    )
    look_seconds: Seconds = Field(5.0, description="Interval between looks for rows without an address.")
    first_retry_seconds: Seconds = Field(2.0, description="Wait after a failure; it doubles with each further one.")
    longest_retry_seconds: Seconds = Field(300.0, le=3600, description="Longest such wait.")

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/\s?#@]+(?:/[^\s?#]*)?$", url):
            raise ValueError("it is no address such as https://nominatim.example.org")
        return url
