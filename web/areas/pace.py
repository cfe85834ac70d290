"""How fast a client of the ingest may send: who sends faster is read more slowly, and loses nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Clients that are remembered; who is forgotten begins with all of its burst.
MOST_CLIENTS = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class Pace:
    """A token bucket for each client, which may go below zero: whoever takes a token then waits until it is there.

    Args:
        per_second: messages a second, sustained.
        burst: messages that may come at once.
        clock: seconds that only go forward.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, client: str) -> float:
        """Count a message of a client; how many seconds to wait before it is read."""
        now = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(float(self._burst), now))
        self._buckets.move_to_end(client)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        filled = bucket.tokens + (now - bucket.filled_at) * self._per_second
        bucket.tokens, bucket.filled_at = min(float(self._burst), filled) - 1, now
        return max(0.0, -bucket.tokens / self._per_second)
