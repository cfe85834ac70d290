"""Where the three servers are, as the environment variables of deployments say it."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from trafficapp.settings import load_settings
from trafficapp.settings.deployed_names import OPEN_SERVERS, SECURED_SERVERS

KAFKA_NAMES = ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS", "TRAFFICAPP_KAFKA__BOOTSTRAP_SERVERS")
POSTGRES_NAMES = ("DATABASE_URL", "POSTGRES_URL", "PGHOST", "TRAFFICAPP_POSTGRES__URL")
OWNER_URL = "TRAFFICAPP_POSTGRES__OWNER_URL"
REDIS_NAMES = ("REDIS_URL", "REDIS_HOST", "TRAFFICAPP_REDIS__URL")


@dataclass(frozen=True)
class SecuredKafka:
    """The listener of Kafka that is for the application and its tools, and what proves that it is them.

    Attributes:
        bootstrap_servers: comma-separated host:port list.
        user, password: of SASL PLAIN.
        control_keys: see `settings.KafkaSettings`.
    """

    bootstrap_servers: str
    user: str
    password: str = field(repr=False)
    control_keys: str = field(repr=False)

    def environment(self, open_servers: str) -> dict[str, str]:
        """Return the variables by which our processes go there, although others are told `open_servers`."""
        return {
            OPEN_SERVERS: open_servers,
            SECURED_SERVERS: self.bootstrap_servers,
            "TRAFFICAPP_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "TRAFFICAPP_KAFKA__API_KEY": self.user,
            "TRAFFICAPP_KAFKA__API_SECRET": self.password,
            "TRAFFICAPP_KAFKA__CONTROL_KEYS": self.control_keys,
        }


@dataclass(frozen=True)
class Endpoints:
    """Addresses of Kafka, Postgres and Redis; None where nobody said."""

    kafka_bootstrap_servers: str | None = None
    database_url: str | None = None
    redis_url: str | None = None
    database_owner_url: str | None = None
    """The same database for who alters tables, when `database_url` is for work only."""
    secured_kafka: SecuredKafka | None = None
    """Where Kafka is for ourselves, when `kafka_bootstrap_servers` is for producers only."""

    @classmethod
    def from_environment(cls) -> Endpoints:
        """Return the servers that the environment names, in any of the ways that the settings read it.

        Raises:
            SettingsError: A setting is wrong.
        """
        settings = load_settings()
        kafka, secured = settings.kafka, None
        owner = settings.postgres.owner
        if kafka.open_servers is not None and kafka.api_key is not None and kafka.api_secret is not None:
            keys = kafka.control_keys.get_secret_value()
            secured = SecuredKafka(kafka.bootstrap_servers, kafka.api_key, kafka.api_secret.get_secret_value(), keys)
        return cls(
            (kafka.open_servers or kafka.bootstrap_servers) if _any_set(KAFKA_NAMES) else None,
            settings.postgres.url.get_secret_value() if _any_set(POSTGRES_NAMES) else None,
            settings.redis.url.get_secret_value() if _any_set(REDIS_NAMES) else None,
            owner if _any_set(POSTGRES_NAMES) and owner != settings.postgres.url.get_secret_value() else None,
            secured,
        )

    @property
    def complete(self) -> bool:
        """Say whether all three are known."""
        return None not in (self.kafka_bootstrap_servers, self.database_url, self.redis_url)

    def environment(self, *, of_owner: bool = True) -> dict[str, str]:
        """Return the variables for a process that is to use these servers.

        Args:
            of_owner: whether it may alter tables.
        """
        values = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_bootstrap_servers,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            OWNER_URL: self.database_owner_url if of_owner else None,
        }
        found = {name: value for name, value in values.items() if value is not None}
        if self.secured_kafka is not None and self.kafka_bootstrap_servers is not None:
            found |= self.secured_kafka.environment(self.kafka_bootstrap_servers)
        return found

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
