"""Fixtures of all tests of the stores."""

from tests.stores.postgres.fixtures import database, events_sink, history_url, metrics_sink, pool, settings
from tests.stores.redis.fixtures import client, server, sink

__all__ = ["client", "database", "events_sink", "history_url", "metrics_sink", "pool", "server", "settings", "sink"]
