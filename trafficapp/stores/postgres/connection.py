"""The connection to Postgres: a pool, which of its errors pass by themselves, and waiting until they do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from trafficapp.settings import PostgresSettings
from trafficapp.stores import outage as outages
from trafficapp.stores.outage import Outage
from trafficapp.stores.postgres.behind import put_behind

if TYPE_CHECKING:
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

CONNECT_TIMEOUT_SECONDS = 10.0
STATEMENT_TIMEOUT_SECONDS = 60.0
#: A process that freezes inside a transaction keeps locks; the server ends its session after this time.
FROZEN_TRANSACTION_SECONDS = 10

_TRANSIENT: tuple[type[BaseException], ...] = (
    OSError,  # refused, reset, name not found; TimeoutError is one
    EOFError,
    asyncpg.InterfaceError,  # "connection is closed", "another operation is in progress" after a cut
    asyncpg.InternalClientError,  # the protocol was cut in the middle of a message
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.OperatorInterventionError,  # class 57: shut down, starting up, terminated, cancelled
    asyncpg.InsufficientResourcesError,  # class 53: disk full, out of memory, too many connections
    asyncpg.TransactionRollbackError,  # class 40: deadlock, serialization
    asyncpg.ObjectInUseError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a failover is under way
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.PostgresSystemError,  # class 58: input or output error on the server
)
#: The schema is older than we are.
_NOT_MIGRATED = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError)


def is_transient(error: BaseException) -> bool:
    """Whether trying the same again may work without anybody changing our program or its settings.

    A schema that is not there yet counts: ``trafficapp migrate`` may run beside us.
    """
    if isinstance(error, ValueError):  # asyncpg refuses a value or a URL; such errors are InterfaceErrors too
        return False
    return isinstance(error, (*_TRANSIENT, *_NOT_MIGRATED))


def address_of(database_url: str) -> str:
    """``host:port`` of a database URL, for people; never its password."""
    parts = urlsplit(database_url)
    named_host = parse_qs(parts.query).get("host")
    return parts.netloc.rpartition("@")[2] or (named_host[0] if named_host else "the local socket")


def connection_settings(database_url: str) -> dict[str, Any]:
    """Arguments of `asyncpg.connect` and `asyncpg.create_pool` that every connection of ours has."""
    return {
        "dsn": database_url,
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "command_timeout": STATEMENT_TIMEOUT_SECONDS,
        "server_settings": {
            "application_name": "trafficapp",
            "timezone": "UTC",
            "idle_in_transaction_session_timeout": str(FROZEN_TRANSACTION_SECONDS * 1000),
        },
    }


def create_pool(
    settings: PostgresSettings,
    init: Callable[[asyncpg.Connection[asyncpg.Record]], Coroutine[Any, Any, None]] | None = None,
    *,
    on_one_core: bool = False,
    is_behind: bool = False,
) -> Pool:
    """Make a pool that connects when it is first used; the server need not be up yet.

    Await it, or use it as a context manager, before use.

    Args:
        settings: where the server is and how many connections to keep at most.
        init: prepares each new connection.
        on_one_core: whether a statement may take one core of the server at most; it takes longer then.
        is_behind: whether the server's processes for these connections come behind all others, where that is possible;
            see `trafficapp.stores.postgres.behind`.
    """
    if is_behind:
        init = put_behind
    connecting = connection_settings(settings.url.get_secret_value())
    if on_one_core:
        connecting["server_settings"]["max_parallel_workers_per_gather"] = "0"
    return asyncpg.create_pool(
        **connecting,
        min_size=0,
        max_size=settings.pool_size,
        init=init,
        reset=_keep_session,
    )


async def _keep_session(connection: object) -> None:
    """Instead of asyncpg's RESET ALL after each use: our statements leave nothing behind in a session."""


def outage_of(database_url: str) -> Outage:
    """Tells of an outage of the server of a database, and of a schema that is older than we are."""
    return Outage(f"Postgres at {address_of(database_url)}", _in_words)


def _in_words(error: BaseException) -> str:
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    if isinstance(error, _NOT_MIGRATED):
        return f"has a schema that is not up to date ({said}); waiting for `trafficapp migrate`"
    return f"cannot be used ({said}); waiting for it"


async def retrying(
    action: Callable[[], Awaitable[_Result]], outage: Outage, may_go_on: Callable[[], bool] = lambda: True
) -> _Result:
    """Do something until it does not fail for a transient reason.

    Args:
        action: what to do; each attempt calls it anew.
        outage: tells people.
        may_go_on: asked before each attempt.

    Raises:
        Abandoned: `may_go_on` said no.
        Exception: what `action` raised, when it is not transient.
    """
    return await outages.retrying(action, outage, may_go_on, is_transient)


async def wait_until_up(database_url: str, may_go_on: Callable[[], bool] = lambda: True) -> None:
    """Wait until the server takes connections and answers.

    Raises:
        Abandoned: `may_go_on` said no.
        asyncpg.PostgresError: the server refuses us for good, as with a wrong password.
    """

    async def connect_once() -> None:
        connection = await asyncpg.connect(**connection_settings(database_url))
        try:
            await connection.fetchval("SELECT 1")
        finally:
            await connection.close()

    await retrying(connect_once, outage_of(database_url), may_go_on)


async def ping(pool: Pool, timeout_seconds: float = 2.0) -> bool:
    """Whether the server answers in time."""
    try:
        async with asyncio.timeout(timeout_seconds), pool.acquire() as connection:
            return bool(await connection.fetchval("SELECT 1") == 1)
    except Exception as error:
        if not is_transient(error) and not isinstance(error, asyncpg.PostgresError):
            raise
        return False
