"""Telling many clients the same, without holding up anything else."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Iterable
from typing import Protocol

#: Clients that are told before others get their turn on the event loop.
CLIENTS_PER_TURN = 50

#: Messages on their way beyond which a feed waits before it takes more in.
_ENOUGH_MESSAGES = 256


class Listener(Protocol):
    """A client as a feed sees it."""

    def offer(self, message: bytes, frame: bytes | None = None) -> bool:
        """Take a message without waiting; False when there is no room for it.

        Args:
            message: text.
            frame: `text_frame` of the message, made once for all who are told.
        """
        ...

    def cut(self, reason: str) -> None:
        """End the connection."""
        ...


def text_frame(message: bytes) -> bytes:
    """A message as a server's frame of its own, RFC 6455 section 5.2: final, text, not masked."""
    size = len(message)
    if size < 126:
        return struct.pack("!BB", 0x81, size) + message
    if size < 1 << 16:
        return struct.pack("!BBH", 0x81, 126, size) + message
    return struct.pack("!BBQ", 0x81, 127, size) + message


class Broadcaster:
    """Passes messages on, each to its clients, in the order in which they came."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, tuple[Listener, ...]]] = deque()
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    def send(self, message: bytes, listeners: Iterable[Listener]) -> None:
        """Have a message passed on; those who have no room for it are cut."""
        self._waiting.append((message, tuple(listeners)))
        self._more.set()

    async def room(self) -> None:
        """Wait until not too many messages are on their way."""
        while len(self._waiting) > _ENOUGH_MESSAGES:
            self._less.clear()
            await self._less.wait()

    async def run(self) -> None:
        """Pass messages on until cancelled."""
        while True:
            while self._waiting:
                message, listeners = self._waiting.popleft()
                self._less.set()
                frame = text_frame(message)
                for first in range(0, len(listeners), CLIENTS_PER_TURN):
                    for listener in listeners[first : first + CLIENTS_PER_TURN]:
                        if not listener.offer(message, frame):
                            listener.cut("reading too slowly")
                    await asyncio.sleep(0)
            self._more.clear()
            await self._more.wait()
