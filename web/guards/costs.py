"""What questions cost, in rows that are read for them, and who is answered when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from aiohttp import web

from trafficapp.settings import LimitSettings
from web.auth.callers import caller_of
from web.guards.memory import give_memory_back
from web.guards.turns import Turns
from web.serving.limits import LIMITER

_ANY_NUMBER = 1_000_000
#: Questions of one client that wait for his other ones; then he is told to come back later.
_QUESTIONS_WAIT = 256
_QUESTION_WAIT_SECONDS = 10.0

#: Reports are laid out by a process each, which keeps a core busy for about a second.
_REPORT_WAIT_SECONDS = 15.0

#: As long as a question of the contract may take; what is longer need not be paid for by more than that.
_REST_SECONDS = 2.0

#: Pieces of files: they are read and put into words on the event loop.
_PIECE_REST_SECONDS = 0.5
_PIECE_WAIT_SECONDS = 300.0

#: A row that is answered costs about as much as so many that are only added up by Postgres.
READ_FOR_AN_ANSWERED_ROW = 200


class Costs:
    """The turns of a worker.

    Attributes:
        asking: of all questions, so that those of one client do not stand before all others'.
        costly: of questions that read many rows.
        streams: of answers that are sent piece by piece.
        pieces: of answers that are sent piece by piece, for making one: those of a client are made one after the other,
            and as much time lies between them.
        reports: of documents that are laid out.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self._costly_rows = limits.costly_rows
        self.asking = Turns(
            "questions of one client",
            _ANY_NUMBER,
            limits.questions_at_once_per_client,
            waiting=(_QUESTIONS_WAIT, _ANY_NUMBER),
            wait_seconds=_QUESTION_WAIT_SECONDS,
        )
        self.costly = Turns(
            "costly questions",
            limits.costly_at_once,
            wait_seconds=limits.costly_wait_seconds,
            most_rest_seconds=_REST_SECONDS,
        )
        self.streams = Turns("files and long histories", limits.streams_at_once, limits.streams_per_client)
        self.pieces = Turns(
            "pieces of files",
            _ANY_NUMBER,
            waiting=(limits.streams_per_client, _ANY_NUMBER),
            wait_seconds=_PIECE_WAIT_SECONDS,
            most_rest_seconds=_PIECE_REST_SECONDS,
        )
        self.reports = Turns("reports", 1, waiting=(2, 20), wait_seconds=_REPORT_WAIT_SECONDS)

    def is_costly(self, rows: float) -> bool:
        """Whether a question that reads so many rows waits for its turn."""
        return rows > self._costly_rows

    @asynccontextmanager
    async def question(self, request: web.Request, rows: float) -> AsyncIterator[None]:
        """Answer a question that reads so many rows: at once when these are few, else in turn.

        Raises:
            ProblemError: 429, others come first.
        """
        if not self.is_costly(rows):
            yield
            return
        async with self.costly.turn(client_of(request), rows):
            try:
                yield
            finally:
                await give_memory_back()


def client_of(request: web.Request) -> str:
    """As whom a request is counted."""
    return request.config_dict[LIMITER].client(request, caller_of(request))


def rows_within(since: datetime, until: datetime, every: timedelta, of_each: int = 1) -> float:
    """Rows in a span, when each of so many things has one every so often."""
    return max(0.0, (until - since) / every) * max(1, of_each)
