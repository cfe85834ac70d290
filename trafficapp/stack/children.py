"""Start a process that cannot outlive the one that started it, and find those that did all the same."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from trafficapp.stack import guardian
from trafficapp.stack.servers.identity import Identity

PR_SET_PDEATHSIG = 1
MAX_LINE_BYTES = 1 << 20
ORPHAN_EXIT_SECONDS = 10

KERNEL_ENDS_CHILDREN = sys.platform.startswith("linux")

_libc = ctypes.CDLL(None, use_errno=True)


def _before_exec(parent_pid: int, death_signal: int, identity: Identity | None) -> Callable[[], None]:
    """Return what the child does between fork and exec.

    The order matters: the kernel forgets the death signal when the user changes.
    """

    def prepare() -> None:
        if identity is not None:
            identity.assume()
        if KERNEL_ENDS_CHILDREN:
            _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent_pid:  # The parent died before the line above could tell the kernel.
                os._exit(1)

    return prepare


async def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    identity: Identity | None = None,
    death_signal: int = signal.SIGKILL,
) -> asyncio.subprocess.Process:
    """Start `command` with its output in one pipe, in a session of its own.

    A Ctrl-C in the terminal so reaches only us, and we stop the children in order. On Linux the kernel sends
    `death_signal` when the *thread* that called this ends; call it from the main thread's event loop. Elsewhere
    `trafficapp.stack.guardian` does it.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        limit=MAX_LINE_BYTES,
        start_new_session=True,
        preexec_fn=_before_exec(os.getpid(), death_signal, identity),
    )
    if not KERNEL_ENDS_CHILDREN:
        guardian.watch(process.pid)
    return process


def remember(pid_file: Path, pid: int) -> None:
    """Write down a started process so that a later start can tell it from another with the same number."""
    pid_file.parent.mkdir(parents=True, exist_ok=True)
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return
    pid_file.write_text(json.dumps({"pid": pid, "created": created}), encoding="ascii")


def end_orphan(pid_file: Path, gentle_signal: int) -> None:
    """End the process that `pid_file` tells of, if it still runs, and remove the file.

    Blocks up to ten seconds: first `gentle_signal`, then SIGKILL.
    """
    try:
        noted = json.loads(pid_file.read_text(encoding="ascii"))
        process = psutil.Process(int(noted["pid"]))
        if abs(process.create_time() - float(noted["created"])) < 1.0:
            process.send_signal(gentle_signal)
            try:
                process.wait(ORPHAN_EXIT_SECONDS)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(ORPHAN_EXIT_SECONDS)
    except (FileNotFoundError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        pass
    pid_file.unlink(missing_ok=True)
