"""The settings about the web side: where it listens, who may what and ask how much; part of `trafficapp.settings`."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section

#: The shortest key that nobody guesses: 128 bits in hexadecimal digits.
LEAST_KEY_CHARACTERS = 32


class WebSettings(Section):
    """The HTTP and WebSocket side of a worker."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(6066, ge=0, le=65535, description="Port to listen on; every worker on a host needs its own.")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="A second port, on which Prometheus finds the same as at /metrics; 0 is none."
    )
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Names under which the API is called, such as traffic.example.org, or .example.org for all below "
        "it. localhost and addresses in numbers always are allowed; other names in Host are refused.",
    )
    max_connections_per_socket_route: int = Field(5000, ge=1, description="WebSocket clients per worker and route.")
    max_connections_per_client: int = Field(
        200, ge=1, description="WebSocket clients of one caller, or of one address without a token, on each of those."
    )
    client_queue_messages: int = Field(
        64, ge=1, description="Messages kept for a slow WebSocket client before it is cut."
    )
    client_queue_bytes: int = Field(
        1 << 20, ge=1 << 16, description="Bytes kept for a slow WebSocket client before it is cut."
    )

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"\.?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", name):
                raise ValueError(f"{name[:64]!r} is no name such as traffic.example.org or .example.org, without port")
        return names


class AdminSettings(Section):
    """Administration."""

    short_key: bool = Field(
        False, description="Whether a shorter api_key is taken: for demos, as `trafficapp up` sets it for its own."
    )
    api_key: SecretStr | None = Field(
        None,
        description=f"Static admin token, {LEAST_KEY_CHARACTERS} characters or more; without one, admin calls are "
        "refused. `trafficapp up` makes one for a demo's data folder.",
    )

    @field_validator("api_key")
    @classmethod
    def _is_long(cls, key: SecretStr | None, others: ValidationInfo) -> SecretStr | None:
        if key is None or not key.get_secret_value():
            return None
        if len(key.get_secret_value()) < LEAST_KEY_CHARACTERS and not others.data.get("short_key"):
            raise ValueError(
                f"it has {len(key.get_secret_value())} characters, and {LEAST_KEY_CHARACTERS} are the least: whoever "
                "guesses it administers everything; `openssl rand -hex 32` makes one"
            )
        return key


class AuthSettings(Section):
    """Who may what. Roles: viewer reads, operator also acknowledges and raises alerts, admin also administers."""

    public_reads: bool = Field(
        True, description="Whether everybody who reaches the port may read; else a viewer's token is needed."
    )
    public_places: bool = Field(
        False,
        description="Whether where people are and were is read like the rest though tokens are known: for simulated "
        "people, as those of a demo are.",
    )
    public_acknowledge: bool = Field(
        False,
        description="Whether alerts may be acknowledged without a token, for dashboards behind a login of their own.",
    )
    jwt_secret: SecretStr | None = Field(None, min_length=32, description="Key of HS256 tokens.")
    jwks_url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="Where the keys of RS256 and ES256 tokens are published; https but on this machine. jwt_issuer and "
        "jwt_audience are needed with it.",
    )
    jwt_issuer: str | None = Field(None, description="Demanded ``iss`` of a token.")
    jwt_audience: str | None = Field(None, description="Demanded ``aud`` of a token, or else ``azp``.")
    wrong_keys_per_minute: float = Field(
        10.0, gt=0, description="Wrong administrator's keys a minute of one address; more are not even compared."
    )
    wrong_keys_per_minute_in_all: float = Field(
        60.0,
        gt=0,
        description="The same of all addresses together, but for those that had the right key in the last hour.",
    )
    role_claim: str = Field(
        "role",
        description="Claim that holds a role or a list of roles; without ``role``, ``realm_access.roles`` counts.",
    )

    @field_validator("jwks_url")
    @classmethod
    def _is_private(cls, url: str | None) -> str | None:
        if url is not None and url.startswith("http://") and not _is_loopback(urlsplit(url).hostname or ""):
            raise ValueError("it must begin with https://, as whoever sits between could give us keys of his own")
        return url

    @model_validator(mode="after")
    def _says_whose_tokens(self) -> AuthSettings:
        if self.jwks_url is not None and (not self.jwt_issuer or not self.jwt_audience):
            raise ValueError(
                "with jwks_url, jwt_issuer and jwt_audience must be set: those keys sign tokens for others, too"
            )
        return self


class LimitSettings(Section):
    """What a client may ask of one worker."""

    requests_per_second: float = Field(200.0, gt=0, description="Requests a second of one client, sustained.")
    burst: int = Field(400, ge=1, description="Requests that one client may send at once.")
    head_seconds: Seconds = Field(10.0, description="Time in which the head of a request has to come.")
    keep_alive_seconds: Seconds = Field(60.0, description="How long a connection is kept on which nothing is asked.")
    stalled_seconds: Seconds = Field(
        60.0, description="An answer of which a client takes next to nothing for this long is broken off."
    )
    connections_per_address: int = Field(
        1000,
        ge=1,
        description="Connections of one address at a time, sockets included; trusted proxies have any number.",
    )
    body_bytes: int = Field(1 << 20, ge=1024, description="Largest body of a request.")
    query_bytes: int = Field(8192, ge=256, description="Longest query string.")
    questions_at_once_per_client: int = Field(
        8, ge=1, description="Questions of one client that are answered at a time; further ones wait for these."
    )
    costly_rows: int = Field(
        200_000,
        ge=1,
        description="A question that reads more rows than this is costly: few are answered at a time, others wait.",
    )
    costly_at_once: int = Field(2, ge=1, le=16, description="Costly questions that a worker answers at a time.")
    costly_wait_seconds: Seconds = Field(
        4.0, description="How long a costly question waits for its turn; then it is refused with 429."
    )
    costly_apart: bool = Field(
        True,
        description="Whether costly questions, exports and long histories are answered by a process of their own, "
        "which is started with the first of them and ends when none has come for some minutes.",
    )
    costly_memory_mib: int = Field(
        512,
        ge=192,
        description="Memory from which on that process ends when it is idle; at twice as much it ends at once.",
    )
    refused_wait_seconds: float = Field(
        4.0,
        ge=0,
        le=60,
        description="Longest time that a client who goes on asking although he is refused waits for the next refusal.",
    )
    streams_per_client: int = Field(4, ge=1, description="Files and histories that one client is sent at a time.")
    streams_at_once: int = Field(32, ge=1, description="The same of all clients of a worker.")
    cors_origins: tuple[str, ...] = Field((), description="Origins of pages elsewhere that may call the API.")
    trusted_proxies: tuple[str, ...] = Field((), description="Addresses whose X-Forwarded-For is believed.")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not re.fullmatch(r"https?://[^/*\s]+", origin):
                raise ValueError(f"{origin!r} is no origin such as https://traffic.example.org; * is not accepted")
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy, strict=False)
        return proxies


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
