"""Waiting for a store that is away: a growing pause, and one log line at its beginning and end."""

from __future__ import annotations

import asyncio
import logging
import random
import time

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class Outage:
    """Tells an outage once, however often it is met, and how long to wait before the next try.

    Args:
        name: what is away, for the log: ``Redis``.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._since: float | None = None
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    @property
    def lasting(self) -> bool:
        """Whether the store is away."""
        return self._since is not None

    def met(self, error: BaseException) -> None:
        """A try failed."""
        if self._since is None:
            self._since = time.monotonic()
            logger.warning("%s is away (%s); waiting for it", self.name, str(error) or type(error).__name__)

    def over(self) -> None:
        """A try succeeded."""
        if self._since is not None:
            logger.warning("%s is back after %.1f s", self.name, time.monotonic() - self._since)
            self._since = None
            self._pause_seconds = _FIRST_PAUSE_SECONDS

    async def pause(self) -> None:
        """Wait before the next try; a little longer each time, up to two seconds."""
        await asyncio.sleep(self._pause_seconds * random.uniform(0.75, 1.25))
        self._pause_seconds = min(self._pause_seconds * 2, _LONGEST_PAUSE_SECONDS)
