"""A TCP relay before the real Postgres: the network between us and the server, to be cut where a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Relays connections to a database.

    Attributes:
        refusing: new connections are closed at once.
        cut_after: when a client sends these bytes, they still reach the server, its answer does not reach the
            client, and the connection ends. Once; None for never.
        freeze_at: when a client sends these bytes, they and all that follows wait for `thaw`, as if its process
            were frozen. Once; None for never.
    """

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._server = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._parts = parts
        self._open: set[asyncio.StreamWriter] = set()
        self._port = 0
        self.refusing = False
        self.cut_after: bytes | None = None
        self.cuts = 0
        self.freeze_at: bytes | None = None
        self.frozen = asyncio.Event()
        self.thaw = asyncio.Event()

    @property
    def url(self) -> str:
        credentials = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{credentials}@127.0.0.1:{self._port}".removeprefix("@")))

    def cut(self) -> None:
        """End all connections."""
        for writer in list(self._open):
            writer.transport.abort()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        self._open |= {writer, server_writer}
        answers = asyncio.create_task(self._copy(server_reader, writer))
        try:
            while data := await reader.read(1 << 16):
                if self.cut_after is not None and self.cut_after in data:
                    self.cut_after = None
                    self.cuts += 1
                    answers.cancel()
                    server_writer.write(data)
                    await server_writer.drain()
                    await server_reader.read(1)  # the server has done it and answers
                    break
                if self.freeze_at is not None and self.freeze_at in data:
                    self.freeze_at = None
                    self.frozen.set()
                    await self.thaw.wait()
                server_writer.write(data)
                await server_writer.drain()
        except OSError:
            pass
        finally:
            answers.cancel()
            for end in (writer, server_writer):
                self._open.discard(end)
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
