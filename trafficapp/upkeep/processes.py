"""Programs that are run beside a worker, out of its way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)

#: Less weight on the processors than what keeps the numbers exact.
_NICENESS = 10
_STOP_SECONDS = 5.0
_KEPT_LINES = 8


class ProgramFailed(Exception):
    """A program did not do what it was run for; the message is what it said last."""


async def run_program(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, with less priority than we have.

    Args:
        command: the program and its arguments; everybody on the machine sees them, so no secrets.
        environment: variables beside our own.

    Returns:
        the last line that it said.

    Raises:
        ProgramFailed: it cannot be started, or ended with an error.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise ProgramFailed(f"{command[0]} cannot be started: {error.strerror}") from None
    with contextlib.suppress(OSError):  # it may be over already
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    try:
        lines = await _last_lines(process)
    except asyncio.CancelledError:
        await _stop(process)
        raise
    if await process.wait():
        raise ProgramFailed(" / ".join(lines) or f"it ended with {process.returncode} and said nothing")
    return lines[-1] if lines else ""


async def _last_lines(process: asyncio.subprocess.Process) -> list[str]:
    kept: list[str] = []
    assert process.stdout is not None  # noqa: S101 - it is piped
    while chunk := await process.stdout.readline():
        if line := chunk.decode(errors="replace").strip():
            _log.debug("%s", line)
            kept = [*kept, line][-_KEPT_LINES:]
    return kept


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
