"""Waiting for a store that is away: a growing pause, and one log line at its beginning and end."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


def _is_away(error: BaseException) -> str:
    return f"is away ({str(error) or type(error).__name__}); waiting for it"


class Outage:
    """Tells an outage once, however often it is met, and how long to wait before the next try.

    Args:
        name: what is away, for the log: ``Redis``.
        in_words: what the log says of the first failed try, behind the name.
        first_pause_seconds, longest_pause_seconds: the pauses double from the one to the other.
    """

    def __init__(
        self,
        name: str,
        in_words: Callable[[BaseException], str] = _is_away,
        first_pause_seconds: float = _FIRST_PAUSE_SECONDS,
        longest_pause_seconds: float = _LONGEST_PAUSE_SECONDS,
    ) -> None:
        self.name = name
        self._in_words = in_words
        self._first_pause_seconds = self._pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._since: float | None = None

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
            self._pause_seconds = self._first_pause_seconds

    async def pause(self) -> None:
        """Wait before the next try; a little longer each time."""
        await asyncio.sleep(self._pause_seconds * random.uniform(0.75, 1.25))
        self._pause_seconds = min(self._pause_seconds * 2, self._longest_pause_seconds)
