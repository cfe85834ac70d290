"""Who guesses the administrator's key is held up before it is compared, and told of in log and counters."""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import hdrs

from trafficapp.settings import AuthSettings
from web.serving.problems import ProblemError

logger = logging.getLogger(__name__)

#: Wrong keys that may come at once, as minutes of the rate: people mistype, and machines are set up wrongly.
_BURST_MINUTES = 2.0

#: An address that had the right key within this time is not held up by what others guess.
_KNOWN_SECONDS = 3600.0

#: Addresses that are remembered, of those who guess and of those who know.
_MOST_ADDRESSES = 20_000


@dataclass(slots=True)
class _Left:
    tries: float
    at: float


class GuessedKeys:
    """Counts wrong keys: by address, and of all together.

    Args:
        settings: how many there may be.
        clock: seconds that only go forward.
    """

    def __init__(self, settings: AuthSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._each_per_second = settings.wrong_keys_per_minute / 60
        self._all_per_second = settings.wrong_keys_per_minute_in_all / 60
        self._clock = clock
        self._all = _Left(self._burst(self._all_per_second), clock())
        self._left: OrderedDict[str, _Left] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()

    def check(self, address: str) -> None:
        """Let a key be compared, or not.

        Raises:
            ProblemError: 429, too many wrong ones came from there, or from everywhere.
        """
        now = self._clock()
        waits = []
        left = self._left.get(address)
        if left is not None:
            waits.append(self._wait(left, self._each_per_second, now))
        if now - self._known.get(address, -math.inf) > _KNOWN_SECONDS:
            waits.append(self._wait(self._all, self._all_per_second, now))
        wait_seconds = max(waits, default=0.0)
        if wait_seconds > 0:
            seconds = math.ceil(wait_seconds)
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many wrong administrator's keys; none is looked at for {seconds} s",
                {hdrs.RETRY_AFTER: str(seconds)},
            )

    def wrong(self, address: str) -> None:
        """Count a wrong key; `check` has let it be compared."""
        now = self._clock()
        left = self._left.setdefault(address, _Left(self._burst(self._each_per_second), now))
        self._left.move_to_end(address)
        if len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        self._refill(left, self._each_per_second, now)
        self._refill(self._all, self._all_per_second, now)
        left.tries -= 1
        self._all.tries = max(0.0, self._all.tries - 1)
        logger.warning("a wrong administrator's key came from %s", address)
        if left.tries < 1:
            logger.warning("keys from %s are not looked at any more until it guesses less", address)
        if self._all.tries < 1:
            logger.warning("so many wrong administrator's keys come that those of unknown addresses must wait")

    def right(self, address: str) -> None:
        """Note who has the right key."""
        self._known[address] = self._clock()
        self._known.move_to_end(address)
        if len(self._known) > _MOST_ADDRESSES:
            self._known.popitem(last=False)

    def _wait(self, left: _Left, per_second: float, now: float) -> float:
        """Seconds until there is a try again."""
        self._refill(left, per_second, now)
        return 0.0 if left.tries >= 1 else (1 - left.tries) / per_second

    def _refill(self, left: _Left, per_second: float, now: float) -> None:
        left.tries = min(self._burst(per_second), left.tries + (now - left.at) * per_second)
        left.at = now

    @staticmethod
    def _burst(per_second: float) -> float:
        return max(1.0, per_second * 60 * _BURST_MINUTES)
