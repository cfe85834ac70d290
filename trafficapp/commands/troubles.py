"""What keeps a command from its servers, in one sentence for who called it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import asyncpg
import click
from aiokafka.errors import KafkaConnectionError, KafkaError
from confluent_kafka import KafkaException
from redis.exceptions import RedisError

from trafficapp.settings import Settings
from trafficapp.stores.postgres.connection import address_of

Server = Literal["Kafka", "Postgres", "Redis"]


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
    except (KafkaException, KafkaError) as error:
        raise _message(settings, "Kafka", error) from None
    except asyncpg.UndefinedTableError:
        raise click.ClickException("the database has no tables yet; run `trafficapp migrate`") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _message(settings, "Postgres", error) from None
    except RedisError as error:
        raise _message(settings, "Redis", error) from None
    except OSError as error:
        raise _message(settings, asked, error) from None


def _message(settings: Settings, server: Server, error: BaseException) -> click.ClickException:
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
    if isinstance(error, (ConnectionRefusedError, KafkaConnectionError)):
        return "nothing answers there"
    if isinstance(error, KafkaException) and error.args and hasattr(error.args[0], "str"):
        text = str(error.args[0].str())
    else:
        text = str(error)
    return " ".join(text.split()) or type(error).__name__
