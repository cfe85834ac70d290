"""Redis as the views ask it; it may be away at any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from trafficapp.stores.redis.connection import UNAVAILABLE

ANSWER_WITHIN_SECONDS = 2.0

_Result = TypeVar("_Result")


class RedisAway(Exception):
    """Redis does not answer, or not in time."""


async def from_redis(answer: Awaitable[_Result]) -> _Result:
    """What Redis answers.

    Raises:
        RedisAway: nothing, or not in time.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
            return await answer
    except UNAVAILABLE:
        raise RedisAway from None
