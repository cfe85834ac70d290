"""The same said again and again is told rarely."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 600.0
_MOST_KEPT = 1000

#: What differs among lines of a kind: numbers, and what stands in brackets (which channel, why).
_DETAILS = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*\)|\d+(?:[\d.,:]*\d)?")


@dataclass
class _Said:
    told_at: float
    pause_seconds: float
    times: int = 1
    untold: int = 0


class Repeats:
    """Which lines to tell: the first, and others of its kind after longer and longer pauses.

    Args:
        at_once: how many of a kind are told without a pause.
        clock: monotonic seconds.
    """

    def __init__(self, at_once: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once = at_once
        self._clock = clock
        self._said: OrderedDict[tuple[str, str], _Said] = OrderedDict()

    def untold(self, name: str, line: str) -> int | None:
        """How many of the kind were left untold before this one; None when it is left untold itself."""
        now = self._clock()
        key = (name, _DETAILS.sub("0", line))
        said = self._said.get(key)
        if said is None:
            self._said[key] = _Said(now, FIRST_PAUSE_SECONDS)
            if len(self._said) > _MOST_KEPT:
                self._said.popitem(last=False)
            return 0
        self._said.move_to_end(key)
        if now - said.told_at >= 2 * LONGEST_PAUSE_SECONDS and not said.untold:
            # after a long silence it is news again
            said.times, said.pause_seconds = 0, FIRST_PAUSE_SECONDS
        elif said.times >= self._at_once:
            if now - said.told_at < said.pause_seconds:
                said.untold += 1
                return None
            said.pause_seconds = min(said.pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        untold, said.untold = said.untold, 0
        said.told_at, said.times = now, said.times + 1
        return untold
