"""A document in Redis that only newer versions of it replace, whoever puts them.

The version stands in its first bytes. One worker puts it at a time, but for one that was frozen meanwhile: what that
one puts late is given the version after the one that is there, or left out when it was held up for long.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis

from trafficapp.roads.graph.versions import can_be_followed, version_after
from trafficapp.stores.redis.connection import UNAVAILABLE

logger = logging.getLogger(__name__)

#: A round waits so long for Redis; what is not put then is put by the watch.
_PUT_WITHIN_SECONDS = 1.0

#: What was made longer ago was held up by a process that was frozen: it replaces nothing.
_HELD_UP = timedelta(seconds=10)

#: Puts a document unless a newer one is there. KEYS: its key. ARGV: as they are named.
#: Returns the version that is there now.
_PUT = """
local key = KEYS[1]
local version, document, channel, counts_as_none = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local stored = string.match(redis.call('GETRANGE', key, 0, 63), '(v%d%d%d%d%d%d%d%d%d%d%d%d%d%d)')
if stored and stored > version and stored ~= counts_as_none then return stored end
redis.call('SET', key, document)
redis.call('PUBLISH', channel, version)
return version
"""


def version_in(head: bytes) -> str | None:
    """The version in the first 64 bytes of a document; None when there is none that others can follow."""
    found = re.search(rb"v\d{14}", head)
    return found[0].decode() if found and can_be_followed(found[0].decode()) else None


class VersionedDocument:
    """One document: its newest content is kept here, and put again when Redis does not have it.

    Args:
        redis: from `trafficapp.stores.redis.connection.connect`.
        key: its key.
        channel: where each version that is put is told.
    """

    def __init__(self, redis: Redis, key: str, channel: str) -> None:
        self._redis, self._key, self._channel = redis, key, channel
        self._script = redis.register_script(_PUT)
        #: What is to be in Redis unless another worker has put something newer: its version and content.
        self._kept: tuple[str, bytes] | None = None
        #: The newest version that anybody is known to have told; whether Redis was asked for that of another worker.
        self._last_version: str | None = None
        self._knows_others = False

    async def next_version(self, made_at: datetime) -> str:
        """A version behind all that were told, by this process or, as far as Redis knows, by others."""
        if not self._knows_others:
            try:
                async with asyncio.timeout(_PUT_WITHIN_SECONDS):
                    stored = await self.stored_version()
                self._knows_others = True
                self._last_version = max(filter(None, (self._last_version, stored)), default=None)
            except UNAVAILABLE as error:
                logger.info("Redis does not tell the last version of %s: %r", self._key, error)
        self._last_version = version_after(made_at, self._last_version)
        return self._last_version

    async def put(self, version: str, content: bytes, made_at: datetime) -> str | None:
        """Keep a document and put it: behind one that another worker put, with the version after that.

        Returns:
            the version under which it is there; None when it was left out, as what was held up for long is.

        Raises:
            Exception: one of `UNAVAILABLE`; it is kept.
        """
        self._kept = version, content
        async with asyncio.timeout(_PUT_WITHIN_SECONDS):
            while (there := await self._put(version, content)) != version:
                # ours are all before `version`: it is another worker's
                self._last_version = there
                if datetime.now(UTC) - made_at > _HELD_UP:
                    logger.warning(
                        "%s has %s of another worker; %s of %s is left out", self._key, there, version, made_at
                    )
                    self._kept = None
                    return None
                later = version_after(made_at, there)
                logger.info("%s has %s of another worker; %s is put as %s", self._key, there, version, later)
                version, content = later, content.replace(version.encode(), later.encode(), 1)
                self._kept = version, content
            self._last_version = version
        return version

    async def put_again(self) -> None:
        """Put what is kept when Redis has nothing or something older.

        Raises:
            Exception: one of `UNAVAILABLE`.
        """
        if self._kept is None:
            return
        stored = await self.stored_version()
        if stored is None or stored < self._kept[0]:
            there = await self._put(*self._kept)
            logger.info("%s had %s and has %s now", self._key, stored or "nothing", there)

    async def stored_version(self) -> str | None:
        """The version in Redis."""
        head: Any = await self._redis.getrange(self._key, 0, 63)
        return version_in(head)

    async def _put(self, version: str, content: bytes) -> str:
        """Put a document unless a newer one is there; the version that is there then.

        One of a clock that is wrong by centuries would never be replaced, so it counts as none.
        """
        there = await self._run(version, content)
        return there if can_be_followed(there) else await self._run(version, content, counts_as_none=there)

    async def _run(self, version: str, content: bytes, counts_as_none: str = "") -> str:
        there: bytes = await self._script(keys=[self._key], args=[version, content, self._channel, counts_as_none])
        return there.decode()
