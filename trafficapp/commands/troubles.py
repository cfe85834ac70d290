"""What keeps a command from its servers, in one sentence for who called it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import click

from trafficapp.settings import Settings

Server = Literal["Kafka", "Postgres", "Redis"]

#: Module and name of what clients raise. A client that this command has not loaded has raised nothing, and is not
#: loaded for the sake of asking.
_Kinds = tuple[tuple[str, str], ...]
_OF_CLIENTS: dict[Server, _Kinds] = {
    "Kafka": (("confluent_kafka", "KafkaException"), ("aiokafka.errors", "KafkaError")),
    "Postgres": (("asyncpg", "PostgresError"), ("asyncpg", "InterfaceError")),
    "Redis": (("redis.exceptions", "RedisError"),),
}
_NO_TABLES: _Kinds = (("asyncpg", "UndefinedTableError"),)
_NOBODY_THERE: _Kinds = (("aiokafka.errors", "KafkaConnectionError"),)
_OF_LIBRDKAFKA: _Kinds = (("confluent_kafka", "KafkaException"),)


@contextmanager
def told_in_a_sentence(settings: Settings, asked: Server) -> Iterator[None]:
    """Turn what servers and the network raise inside the block into a message.

    Args:
        settings: where the servers are.
        asked: whose the errors of the network are that do not say it.

    Raises:
        click.ClickException: a server is away or refuses us; the text says which, where and why.
    """
    # the client tells every failed try with a line of its own
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        if _is_one_of(error, _NO_TABLES):
            raise click.ClickException("the database has no tables yet; run `trafficapp migrate`") from None
        for server, kinds in _OF_CLIENTS.items():
            if _is_one_of(error, kinds):
                raise _message(settings, server, error) from None
        if isinstance(error, OSError):
            raise _message(settings, asked, error) from None
        raise


def _is_one_of(error: BaseException, kinds: _Kinds) -> bool:
    loaded = ((sys.modules.get(module), name) for module, name in kinds)
    return any(module is not None and isinstance(error, getattr(module, name)) for module, name in loaded)


def _message(settings: Settings, server: Server, error: BaseException) -> click.ClickException:
    from trafficapp.stores.postgres.connection import address_of

    places = {
        "Kafka": settings.kafka.bootstrap_servers,
        "Postgres": address_of(settings.postgres.url.get_secret_value()),
        "Redis": address_of(settings.redis.url.get_secret_value()),
    }
    names = {"Kafka": "KAFKA_BOOTSTRAP_SERVERS", "Postgres": "DATABASE_URL", "Redis": "REDIS_URL"}
    return click.ClickException(
        f"{server} at {places[server]} cannot be used ({_reason(error)}); is it running, and is {names[server]} right?"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError) or _is_one_of(error, _NOBODY_THERE):
        return "nothing answers there"
    if _is_one_of(error, _OF_LIBRDKAFKA) and error.args and hasattr(error.args[0], "str"):
        text = str(error.args[0].str())
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__
