"""Who goes on asking although he is refused waits for his refusals, and his new connections are heard later.

A refusal costs this worker about as much as a light answer. A client that asks again at once would be refused hundreds
of times a second, and everybody else would wait for that; one that waits for its refusal asks a few times a second, at
no cost to us. Nothing else of the client waits: what is not refused is answered as for everybody.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from trafficapp.settings import LimitSettings
from web.auth.callers import CALLER
from web.serving.limits import LIMITER

#: Refusals that are told at once: whoever is refused now and then, or mistaken, hears of it without delay.
PROMPT_REFUSALS = 10

#: How much longer each further one waits.
_LONGER_SECONDS = 0.05

#: Refusals weigh half after this time, and more than this many are not counted.
_FORGOTTEN_BY_HALF_SECONDS = 30.0
_MOST_COUNTED = 300.0

#: Refusals of one client that wait at a time; who has more open is told at once, and his connection ends.
HELD_AT_ONCE = 64

#: New connections a second of an address whose refusals wait, and how many at once; further ones are heard later.
ACCEPTED_PER_SECOND = 10.0
ACCEPTED_AT_ONCE = 20
UNHEARD_SECONDS = 1.0

#: Clients that are remembered; who is forgotten has not been refused.
MOST_CLIENTS = 10_000


@dataclass(slots=True)
class _Known:
    """Of a client: how often it was refused lately, and how many connections it may open."""

    refused: float
    accepted: float
    at: float


class Refusals:
    """Remembers who was refused how often.

    Args:
        limits: the longest that a refusal waits.
        clock: seconds that only go forward.
    """

    def __init__(self, limits: LimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest_seconds = limits.refused_wait_seconds
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._held: Counter[str] = Counter()

    def refuse(self, client: str) -> float:
        """Count a refusal; the seconds that it waits."""
        known = self._now(client) or _Known(0.0, float(ACCEPTED_AT_ONCE), self._clock())
        self._known[client] = known
        self._known.move_to_end(client)
        if len(self._known) > MOST_CLIENTS:
            self._known.popitem(last=False)
        known.refused = min(_MOST_COUNTED, known.refused + 1)
        return self._wait_seconds(known)

    def is_heard_later(self, client: str) -> bool:
        """Count a new connection; whether it has to wait before anything that it sends is looked at."""
        known = self._now(client)
        if known is None or self._wait_seconds(known) <= 0:
            return False
        known.accepted -= 1
        return known.accepted < 0

    async def hold(self, client: str) -> bool:
        """Count a refusal and let it wait; False when so many of this client wait that it is told at once.

        Whoever leaves meanwhile has not waited: that counts as one more.
        """
        seconds = self.refuse(client)
        if seconds <= 0:
            return True
        if self._held[client] >= HELD_AT_ONCE:
            return False
        self._held[client] += 1
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.refuse(client)
            raise
        finally:
            self._held[client] -= 1
            if not self._held[client]:
                del self._held[client]
        return True

    def _now(self, client: str) -> _Known | None:
        known = self._known.get(client)
        if known is not None:
            now = self._clock()
            known.refused *= math.exp2((known.at - now) / _FORGOTTEN_BY_HALF_SECONDS)
            known.accepted = min(ACCEPTED_AT_ONCE, known.accepted + (now - known.at) * ACCEPTED_PER_SECOND)
            known.at = now
        return known

    def _wait_seconds(self, known: _Known) -> float:
        return max(0.0, min(self._longest_seconds, (known.refused - PROMPT_REFUSALS) * _LONGER_SECONDS))


REFUSALS = web.AppKey("refusals", Refusals)


@web.middleware
async def hold_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the refusals of who goes on asking wait; outermost, so that they are counted at once and hold nothing."""
    response = await handler(request)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        limiter, caller = request.config_dict[LIMITER], request.get(CALLER)
        client = limiter.address(request) if caller is None else limiter.client(request, caller)
        if not await request.config_dict[REFUSALS].hold(client) and not limiter.is_proxied(request):
            # the connections of a proxy are those of others, too
            response.force_close()
    return response
