"""Where the three servers are, as the environment variables of deployments say it."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from trafficapp.settings import load_settings

KAFKA_NAMES = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS", "TRAFFICAPP_KAFKA__BOOTSTRAP_SERVERS")
POSTGRES_NAMES = ("DATABASE_URL", "POSTGRES_URL", "PGHOST", "TRAFFICAPP_POSTGRES__URL")
REDIS_NAMES = ("REDIS_URL", "REDIS_HOST", "TRAFFICAPP_REDIS__URL")


@dataclass(frozen=True)
class Endpoints:
    """Addresses of Kafka, Postgres and Redis; None where nobody said."""

    kafka_bootstrap_servers: str | None = None
    database_url: str | None = None
    redis_url: str | None = None

    @classmethod
    def from_environment(cls) -> Endpoints:
        """Return the servers that the environment names, in any of the ways that the settings read it.

        Raises:
            SettingsError: A setting is wrong.
        """
        settings = load_settings()
        return cls(
            settings.kafka.bootstrap_servers if _any_set(KAFKA_NAMES) else None,
            settings.postgres.url.get_secret_value() if _any_set(POSTGRES_NAMES) else None,
            settings.redis.url.get_secret_value() if _any_set(REDIS_NAMES) else None,
        )

    @property
    def complete(self) -> bool:
        """Say whether all three are known."""
        return None not in (self.kafka_bootstrap_servers, self.database_url, self.redis_url)

    def environment(self) -> dict[str, str]:
        """Return the variables for a process that is to use these servers."""
        values = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
        }
        return {name: value for name, value in values.items() if value is not None}

    def export_lines(self) -> list[str]:
        """Return shell lines that set the variables."""
        return [f"export {name}={shlex.quote(value)}" for name, value in self.environment().items()]


async def accepts_connections(bootstrap_servers: str) -> bool:
    """Say whether any of Kafka's `host:port` addresses accepts a connection; credentials are not tried."""
    for address in bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout=2)
        except (OSError, TimeoutError, ValueError):
            continue
        writer.close()
        return True
    return False


def _any_set(names: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> bool:
    return any(environ.get(name) for name in names)
