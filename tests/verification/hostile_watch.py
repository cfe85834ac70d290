"""Asks workers for their health ten times a second: ``python -m tests.verification.hostile_watch PORT...``.

A line for each answer: port, when it was asked for on `time.monotonic`'s clock, after how many seconds it came, and its
status, 0 for none. And a line with ``late`` for each time that this process itself woke up late, by more than 50 ms.
"""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp

POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 10.0
_LATE_SECONDS = 0.05


async def watch(ports: list[int]) -> None:
    """Ask until this process is ended."""
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        asked: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while True:
            due += POLL_SECONDS
            await asyncio.sleep(due - time.monotonic())
            late = time.monotonic() - due
            if late > _LATE_SECONDS:
                print(f"late {due:.3f} {late:.3f}")
                due = time.monotonic()
            for port in ports:
                task = asyncio.create_task(_ask(session, port))
                asked.add(task)
                task.add_done_callback(asked.discard)


async def _ask(session: aiohttp.ClientSession, port: int) -> None:
    began, status = time.monotonic(), 0
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    print(f"{port} {began:.3f} {time.monotonic() - began:.4f} {status}")


if __name__ == "__main__":
    asyncio.run(watch([int(port) for port in sys.argv[1:]]))
