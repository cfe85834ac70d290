"""Asks workers for their health ten times a second: ``python -m tests.verification.hostile_watch PORT=PID_FILE...``.

A line for each answer: port, when it was asked for on `time.monotonic`'s clock, after how many seconds it came, its
status, 0 for none, for how many of these seconds the worker's main thread had work and no core was free for it, and for
how many of them the core that is worst off was taken from this machine, if it is a virtual one. And a line with
``late`` for each time that this process itself woke up late, by more than 50 ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
import psutil

from tests.verification.priority import set_niceness

POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 10.0
_LATE_SECONDS = 0.05
_NICENESS = -15


async def watch(workers: list[tuple[int, Path]]) -> None:
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
            for port, pid_file in workers:
                task = asyncio.create_task(_ask(session, port, pid_file))
                asked.add(task)
                task.add_done_callback(asked.discard)


async def _ask(session: aiohttp.ClientSession, port: int, pid_file: Path) -> None:
    waited_before, stolen_before = _without_a_core(pid_file), _stolen()
    began, status = time.monotonic(), 0
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        pass
    seconds = time.monotonic() - began
    waited = min(max(_without_a_core(pid_file) - waited_before, 0.0), seconds)
    stolen = max(after - before for before, after in zip(stolen_before, _stolen(), strict=True))
    print(f"{port} {began:.3f} {seconds:.4f} {status} {waited:.4f} {min(stolen, seconds):.4f}")


def _stolen() -> list[float]:
    """For how many seconds each core was given to another machine; always 0 on a real one."""
    return [getattr(core, "steal", 0.0) for core in psutil.cpu_times(percpu=True)]


def _without_a_core(pid_file: Path) -> float:
    """For how many seconds a process's main thread has waited for a core since it began; 0 where that is not told."""
    try:
        pid = json.loads(pid_file.read_text())["pid"]
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, LookupError, TypeError):
        return 0.0


if __name__ == "__main__":
    # who measures must not wait for a core itself, where that can be had
    set_niceness(_NICENESS)
    named = (argument.split("=", 1) for argument in sys.argv[1:])
    asyncio.run(watch([(int(port), Path(pid_file)) for port, pid_file in named]))
