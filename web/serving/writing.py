"""Writes of administrators and operators: the change, its audit row and what it has to tell, in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg
from aiohttp import web

from models.plain_text import escaped
from trafficapp.stores.administration.audit_queries import Actor, record_audit
from trafficapp.stores.cameras.registry_queries import REGISTRY_CHANNEL
from trafficapp.stores.postgres.publications import Pending, Publication, record
from trafficapp.stores.redis.connection import UNAVAILABLE
from web.auth.access import caller_of
from web.serving.context import CONTEXT, WebContext
from web.serving.limits import LIMITER
from web.serving.problems import ProblemError

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: In the answer to a write that is done, while Kafka or the live clients still have to be told.
PENDING_HEADERS = {"X-Publication": "pending"}

#: The name of a caller without a token, where a setting lets one write.
NOBODY = "anonymous"

_ANNOUNCE_WITHIN_SECONDS = 1.0


@dataclass(slots=True)
class Write:
    """A transaction under way.

    Attributes:
        connection: in the transaction.
        actor: who writes.
        changes_registry: set it when cameras or zones change; all workers are told.
    """

    connection: Connection
    actor: Actor
    changes_registry: bool = False
    pending: list[Pending] = field(default_factory=list)

    async def audit(self, action: str, target: str, before: Any = None, after: Any = None) -> None:
        """Write the row of the audit log; every write has one."""
        await record_audit(self.connection, self.actor, action, target, before, after)

    async def tell(self, *publications: Publication) -> None:
        """Have something told once the transaction is committed."""
        self.pending += await record(self.connection, publications)


@dataclass(frozen=True, slots=True)
class Written(Generic[_Result]):
    """A committed write.

    Attributes:
        headers: of the answer.
    """

    result: _Result
    headers: dict[str, str]


async def write(request: web.Request, change: Callable[[Write], Awaitable[_Result]]) -> Written[_Result]:
    """Change something in one transaction, then tell what it recorded.

    Args:
        request: who asks for it.
        change: does it; what it raises takes everything back.

    Raises:
        ProblemError: 503, Postgres does not answer; 422, it keeps no such values; whatever `change` raises.
    """
    context, actor = request.app[CONTEXT], actor_of(request)

    async def in_transaction(pool: Pool) -> tuple[Pool, Write, _Result]:
        async with pool.acquire() as connection, connection.transaction():
            under_way = Write(connection, actor)
            return pool, under_way, await change(under_way)

    try:
        pool, done, result = await context.reserved.ask(in_transaction)
    except asyncpg.DataError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, f"it cannot be stored: {error}") from None
    told = True
    if done.pending:
        told = await context.publisher.publish(pool, done.pending)
    if done.changes_registry:
        await _tell_workers(context)
    return Written(result, {} if told else dict(PENDING_HEADERS))


async def _tell_workers(context: WebContext) -> None:
    """This worker knows of the change before it answers; the others look at once, or within 30 s without Redis."""
    await context.registry.refresh()
    try:
        async with asyncio.timeout(_ANNOUNCE_WITHIN_SECONDS):
            await context.redis.publish(REGISTRY_CHANNEL, b"")
    except UNAVAILABLE as error:
        logger.info("the other workers will see the change within 30 s: %r", error)


def actor_of(request: web.Request) -> Actor:
    """Who sends a request, as the audit log names him."""
    caller = caller_of(request)
    return Actor(
        name=caller.name or NOBODY,
        role=str(caller.role),
        remote=request.config_dict[LIMITER].remote(request),
        request_id=escaped(request.headers.get("X-Request-Id", "")[:128]) or None,
        caller=caller.identity or NOBODY,
    )
