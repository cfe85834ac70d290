"""Answers that many clients ask for at once: made by one of them, kept for a moment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Answer = TypeVar("_Answer")

_KEPT_AT_MOST = 64


@dataclass(slots=True)
class _Entry(Generic[_Answer]):
    answer: _Answer | None = None
    made_at: float = float("-inf")
    making: asyncio.Task[_Answer] | None = None


class SharedAnswers(Generic[_Key, _Answer]):
    """Keeps answers by what was asked.

    While an answer is asked for all the time it is made anew in the background when half of its time is over,
    so nobody waits.

    Args:
        max_age_seconds: an answer is never older than this.
    """

    def __init__(self, max_age_seconds: float) -> None:
        self._max_age_seconds = max_age_seconds
        self._entries: dict[_Key, _Entry[_Answer]] = {}

    async def get(self, key: _Key, make: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The answer to a question.

        Args:
            key: the question.
            make: finds the answer; of many callers one is called.

        Raises:
            Exception: what `make` raised; the next caller tries again.
        """
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= _KEPT_AT_MOST:
                self._entries.pop(next(iter(self._entries)))
            entry = self._entries[key] = _Entry()
        age_seconds = time.monotonic() - entry.made_at
        if age_seconds > self._max_age_seconds / 2 and entry.making is None:
            entry.making = asyncio.create_task(_make(entry, make))
        if entry.answer is not None and age_seconds <= self._max_age_seconds:
            return entry.answer
        making = entry.making
        assert making is not None  # noqa: S101 - such an age lets it begin above
        # the one who began it may leave before it is done
        return await asyncio.shield(making)


async def _make(entry: _Entry[_Answer], make: Callable[[], Awaitable[_Answer]]) -> _Answer:
    asked_at = time.monotonic()
    try:
        entry.answer = await make()
        entry.made_at = asked_at
        return entry.answer
    finally:
        making, entry.making = entry.making, None
        if making is not None:
            making.add_done_callback(_look)


def _look(task: asyncio.Task[_Answer]) -> None:
    """Take note of a failure that nobody waits for."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
