"""When the process for costly questions may end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

logger = logging.getLogger(__name__)

#: Nobody has asked for so long: what it has in memory is old by then.
UNASKED_SECONDS = 300.0
_LOOK_SECONDS = 1.0


class Answering:
    """Knows which questions are being answered.

    Args:
        memory_bytes: from so much on it ends when nothing is being answered; at twice as much it ends at once.
        memory: how much it has.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        memory_bytes: int,
        memory: Callable[[], int] = lambda: int(psutil.Process().memory_info().rss),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._memory_bytes, self._memory, self._clock = memory_bytes, memory, clock
        self._open = 0
        self._asked_at = clock()

    @contextmanager
    def question(self) -> Iterator[None]:
        """One is being answered."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._asked_at = self._clock()

    def may_end(self) -> bool:
        """Whether it is time to end; whoever asks afterwards has another process started."""
        taken = self._memory()
        if taken > 2 * self._memory_bytes:
            logger.error("costly questions take %d MiB: they are broken off", taken >> 20)
            return True
        if self._open:
            return False
        return taken > self._memory_bytes or self._clock() - self._asked_at > UNASKED_SECONDS

    async def until_it_may_end(self) -> None:
        """Wait for that."""
        while not self.may_end():  # noqa: ASYNC110 - memory tells nobody that it grows
            await asyncio.sleep(_LOOK_SECONDS)
