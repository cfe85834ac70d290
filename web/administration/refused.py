"""``GET /api/dead-letters``: what was refused lately, and why."""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from aiokafka.errors import KafkaError
from msgspec import Meta, Struct

from models.administration.refused import RefusedMessage, encode_refused
from models.dead_letters import DeadLetter
from trafficapp.stores.administration.dead_letters import newest_dead_letters
from web.auth.access import Access, authorise_private
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import unavailable
from web.serving.shapes import Name

_ANSWER_WITHIN_SECONDS = 15.0
#: How far back is looked in each partition for letters that are asked for by topic or reason.
_LOOKED_AT = 2000
#: Questions that read Kafka at once; others wait.
_AT_ONCE = 2


class RefusedQuery(Struct, frozen=True, kw_only=True):
    """Which; ``limit`` of the newest."""

    topic: Name | None = None
    reason: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class Refused:
    """The view."""

    def __init__(self) -> None:
        self._reading = asyncio.Semaphore(_AT_ONCE)

    async def newest(self, request: web.Request, query: RefusedQuery) -> web.Response:
        """The newest refused messages, newest first, with the reasons.

        Read from the topic of dead letters. By `topic` or `reason` the newest 2,000 of each partition are looked
        through. Messages may say where people are: where this worker knows tokens, an operator's is needed.
        """

        def is_wanted(letter: DeadLetter) -> bool:
            return query.topic in (None, letter.topic) and query.reason in (None, letter.reason)

        among = query.limit if query.topic is None and query.reason is None else _LOOKED_AT
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_SECONDS), self._reading:
                found = await newest_dead_letters(request.app[CONTEXT].settings, query.limit, is_wanted, among)
        except (KafkaError, OSError, TimeoutError):
            raise unavailable("Kafka, which holds what was refused,") from None
        return json_answer(encode_refused([RefusedMessage.of(letter) for letter in reversed(found)]))


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/dead-letters",
            Refused().newest,
            Tag.OPERATION,
            list[RefusedMessage],
            access=Access.OPERATE,
            authorise=authorise_private,
            errors=(503,),
        )
    ]
