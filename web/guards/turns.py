"""Whose turn it is: few at a time, one of each client, and of those who wait the one who has had least comes next."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import hdrs

from web.serving.problems import ProblemError

#: What a client had weighs half after this time.
_FORGOTTEN_BY_HALF_SECONDS = 60.0

#: Clients whose share is remembered; who is forgotten has had nothing.
_MOST_CLIENTS = 10_000


@dataclass(slots=True, eq=False)
class _Waiting:
    price: float
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Turns:
    """Hands out turns.

    Args:
        what: in words, for whoever is refused: ``costly questions``.
        at_once: turns at a time.
        each: of those to one client.
        waiting: who may wait, of one client and of all.
        wait_seconds: for how long; 0 for not at all.
        most_rest_seconds: a client who has had a turn has the next one after as long as it lasted, this at most: who
            asks without a pause has half of the time.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        what: str,
        at_once: int,
        each: int = 1,
        *,
        waiting: tuple[int, int] = (4, 64),
        wait_seconds: float = 0.0,
        most_rest_seconds: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._at_once, self._each = what, at_once, each
        self._most_waiting, self._wait_seconds, self._clock = waiting, wait_seconds, clock
        self._most_rest_seconds = most_rest_seconds
        self._running: Counter[str] = Counter()
        self._resting: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._had: dict[str, tuple[float, float]] = {}

    @property
    def running(self) -> int:
        """Turns that are taken."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Who waits."""
        return sum(len(queue) for queue in self._waiting.values())

    @asynccontextmanager
    async def turn(self, client: str, price: float = 1.0) -> AsyncIterator[None]:
        """Hold a turn, waiting for it when need be.

        Args:
            client: whose.
            price: what it costs, in any unit; of clients that wait, who paid least comes next.

        Raises:
            ProblemError: 429, too many of this client wait, or it took too long.
        """
        await self._enter(client, price)
        began = self._clock()
        try:
            yield
        finally:
            self._leave(client, self._clock() - began)

    async def _enter(self, client: str, price: float) -> None:
        if self._may_run(client) and not self._waiting.get(client):
            # others who wait cannot run now, or they would
            self._run(client, price)
            return
        queue = self._waiting.setdefault(client, deque())
        each, all_together = self._most_waiting
        if self._wait_seconds <= 0 or len(queue) >= each or self.waiting >= all_together:
            self._forget_empty(client)
            raise self._refused()
        waiting = _Waiting(price)
        queue.append(waiting)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await waiting.turn
        except TimeoutError:
            if _was_given(waiting):
                self._leave(client)
            raise self._refused() from None
        except asyncio.CancelledError:
            if _was_given(waiting):
                self._leave(client)
            raise
        finally:
            with contextlib.suppress(ValueError):
                queue.remove(waiting)
            self._forget_empty(client)

    def _leave(self, client: str, lasted_seconds: float = 0.0) -> None:
        _take_from(self._running, client)
        rest_seconds = min(lasted_seconds, self._most_rest_seconds)
        if rest_seconds > 0:
            self._resting[client] += 1
            asyncio.get_running_loop().call_later(rest_seconds, self._end_rest, client)
        self._go_on()

    def _end_rest(self, client: str) -> None:
        _take_from(self._resting, client)
        self._go_on()

    def _go_on(self) -> None:
        while (nexts := self._next()) is not None:
            who, waiting = nexts
            self._run(who, waiting.price)
            waiting.turn.set_result(None)

    def _next(self) -> tuple[str, _Waiting] | None:
        """Who comes next: of those who may, who had least."""
        for who in sorted((w for w in self._waiting if self._may_run(w)), key=self._share):
            queue = self._waiting[who]
            while queue:
                waiting = queue.popleft()
                if not waiting.turn.done():
                    return who, waiting
        return None

    def _may_run(self, client: str) -> bool:
        return self.running < self._at_once and self._running[client] + self._resting[client] < self._each

    def _run(self, client: str, price: float) -> None:
        self._running[client] += 1
        self._had[client] = (self._share(client) + price, self._clock())
        if len(self._had) > _MOST_CLIENTS:
            del self._had[min(self._had, key=self._share)]

    def _share(self, client: str) -> float:
        had, at = self._had.get(client, (0.0, 0.0))
        return had * math.exp2((at - self._clock()) / _FORGOTTEN_BY_HALF_SECONDS)

    def _forget_empty(self, client: str) -> None:
        if not self._waiting.get(client):
            self._waiting.pop(client, None)

    def _refused(self) -> ProblemError:
        seconds = max(1, math.ceil(self._wait_seconds))
        return ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"{self._what} are answered one after the other, and others come before yours; try again in {seconds} s",
            {hdrs.RETRY_AFTER: str(seconds)},
        )


def _take_from(counts: Counter[str], client: str) -> None:
    counts[client] -= 1
    if not counts[client]:
        del counts[client]


def _was_given(waiting: _Waiting) -> bool:
    return waiting.turn.done() and not waiting.turn.cancelled()
