"""Waiting for a store that is away: a growing pause, and one log line at its beginning and end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

#: Between tries of `retrying`.
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0

_Result = TypeVar("_Result")


class Abandoned(Exception):
    """The work was given up while a store was away: the process stops or the partition has gone."""


def pauses(first_seconds: float, longest_seconds: float) -> Iterator[float]:
    """Seconds to wait before each next try: twice as long as before the last one, up to the longest."""
    pause = first_seconds
    while True:
        yield pause
        pause = min(pause * 2, longest_seconds)


def _is_away(error: BaseException) -> str:
    return f"is away ({str(error) or type(error).__name__}); waiting for it"


class Outage:
    """Tells an outage once, however often it is met, and how long to wait before the next try.

    Args:
        name: what is away, for the log: ``Redis``.
        in_words: what the log says of the first failed try, behind the name.
    """

    def __init__(self, name: str, in_words: Callable[[BaseException], str] = _is_away) -> None:
        self.name = name
        self._in_words = in_words
        self._since: float | None = None
        self._pauses = pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)

    @property
    def lasting(self) -> bool:
        """Whether the store is away."""
        return self._since is not None

    def met(self, error: BaseException) -> None:
        """A try failed."""
        if self._since is None:
            self._since = time.monotonic()
            logger.warning("%s %s", self.name, self._in_words(error))

    def over(self) -> None:
        """A try succeeded."""
        if self._since is not None:
            logger.warning("%s is back after %.1f s", self.name, time.monotonic() - self._since)
            self._since = None
            self._pauses = pauses(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)

    async def pause(self) -> None:
        """Wait before the next try; a little longer each time, up to two seconds. For one who tries at a time."""
        await asyncio.sleep(next(self._pauses) * random.uniform(0.75, 1.25))


async def retrying(
    action: Callable[[], Awaitable[_Result]],
    outage: Outage,
    may_go_on: Callable[[], bool],
    is_transient: Callable[[Exception], bool],
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
) -> _Result:
    """Do something until it does not fail for a transient reason.

    Args:
        action: what to do; each attempt calls it anew.
        outage: tells people.
        may_go_on: asked before each attempt.
        is_transient: whether trying the same again may work.
        longest_pause_seconds: between two attempts.

    Raises:
        Abandoned: `may_go_on` said no.
        Exception: what `action` raised, when it is not transient.
    """
    # of this action alone: several may try at the same time, and tell one outage
    waits = pauses(FIRST_PAUSE_SECONDS, longest_pause_seconds)
    while may_go_on():
        try:
            result = await action()
        except Exception as error:
            if not is_transient(error):
                raise
            outage.met(error)
            await asyncio.sleep(next(waits))
        else:
            outage.over()
            return result
    raise Abandoned(f"{outage.name} was given up")
