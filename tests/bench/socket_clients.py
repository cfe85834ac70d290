"""WebSocket clients of ``/ws/events`` in a process of their own; some never read until the end.

Usage: ``python -m tests.bench.socket_clients PORT CLIENTS SLEEPERS SECONDS``. Prints ``CONNECTED`` once all are
there, listens for so many seconds, lets the sleepers read, and prints one JSON line.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import statistics
import struct
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any

_CONNECTIONS_PER_SECOND = 150
_WAKE_SECONDS = 20.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Client(asyncio.Protocol):
    """A connection that parses frames by itself, so that two thousand cost little.

    Attributes:
        late_ms: from an event's ``ts`` to its arrival, by name of the event.
        close_code: from the close frame; None when the connection ended without one.
        ended: whether the connection has ended.
    """

    def __init__(self, host: str, sleeper: bool) -> None:
        self._host = host
        self.sleeper = sleeper
        self.ready = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.late_ms: dict[str, list[float]] = {}
        self.numbers: list[int] = []
        self.close_code: int | None = None
        self.transport: Any = None
        self._buffer = bytearray()
        self._upgraded = False
        self._awake = not sleeper

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Shake hands."""
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        self.transport.write(
            f"GET /ws/events HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        now = time.time()
        self._buffer += data
        if not self._upgraded:
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.ready.set_exception(RuntimeError(head.decode()))
                return
            self._upgraded, self._buffer = True, bytearray(rest)
            if self.sleeper:
                self.transport.pause_reading()
            self.ready.set_result(None)
        while (frame := self._next_frame()) is not None:
            self._take(*frame, now)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed in the handshake"))
        self.ended.set()

    def wake(self) -> None:
        """Begin to read."""
        self._awake = True
        if not self.ended.is_set():
            self.transport.resume_reading()

    def _next_frame(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size == 126:
            size, at = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < at + size:
            return None
        opcode, payload = buffer[0] & 15, bytes(buffer[at : at + size])
        del buffer[: at + size]
        return opcode, payload

    def _take(self, opcode: int, payload: bytes, now: float) -> None:
        if opcode == _PING and not self.sleeper:
            self.transport.write(struct.pack("!BBI", 0x80 | _PONG, 0x80, 0))
        elif opcode == _CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self.transport.close()
        elif opcode == _TEXT and not self.sleeper:
            # {"seq":N,"event":"name","ts":"...","data":...
            head = payload[:160].split(b'"', 10)
            event = head[5].decode()
            if event not in ("snapshot", "heartbeat", "resync"):
                told = datetime.fromisoformat(head[9].decode()).timestamp()
                self.late_ms.setdefault(event, []).append((now - told) * 1000)
                self.numbers.append(int(head[2].strip(b":,")))


async def connect(port: int, count: int, sleepers: int) -> list[Client]:
    """Connect evenly; every so-manieth client is a sleeper."""
    loop, clients = asyncio.get_running_loop(), []
    for number in range(count):
        sleeper = number * sleepers // count != (number + 1) * sleepers // count
        made: Any = await loop.create_connection(
            lambda sleeper=sleeper: Client(f"127.0.0.1:{port}", sleeper), "127.0.0.1", port
        )
        clients.append(made[1])
        await asyncio.sleep(1 / _CONNECTIONS_PER_SECOND)
    await asyncio.gather(*(client.ready for client in clients))
    return clients


async def run(port: int, count: int, sleepers: int, seconds: float) -> dict[str, Any]:
    """Connect, listen, wake the sleepers."""
    clients = await connect(port, count, sleepers)
    readers = [client for client in clients if not client.sleeper]
    asleep = [client for client in clients if client.sleeper]
    for client in readers:
        client.late_ms.clear()
    print("CONNECTED", flush=True)
    await asyncio.sleep(seconds)
    lost = sum(client.ended.is_set() for client in readers)
    for client in asleep:
        client.wake()
    await asyncio.wait([asyncio.ensure_future(client.ended.wait()) for client in asleep], timeout=_WAKE_SECONDS)
    codes = Counter(str(client.close_code) if client.ended.is_set() else "open" for client in asleep)
    whole = sum(client.numbers == list(range(client.numbers[0], client.numbers[-1] + 1)) for client in readers)
    result = {
        "readers": len(readers),
        "readers_lost": lost,
        "readers_without_gap_or_repeat": whole,
        "sleepers": len(asleep),
        "sleepers_close_codes": dict(codes),
        "events": {name: figures(name, readers) for name in sorted({name for one in readers for name in one.late_ms})},
    }
    for client in clients:
        client.transport.abort()
    return result


def figures(name: str, readers: list[Client]) -> dict[str, float]:
    """Percentiles over all readers."""
    values = [value for client in readers for value in client.late_ms.get(name, ())]
    cuts = statistics.quantiles(values, n=1000)
    return {
        "received": len(values),
        "p50_ms": round(cuts[499], 1),
        "p99_ms": round(cuts[989], 1),
        "max_ms": round(max(values), 1),
    }


def main() -> None:
    """Run from the command line."""
    port, count, sleepers = (int(text) for text in sys.argv[1:4])
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count + 1000) if most > 0 else count + 1000, most))
    print("RESULT", json.dumps(asyncio.run(run(port, count, sleepers, float(sys.argv[4])))), flush=True)


if __name__ == "__main__":
    main()
