"""Programs that are run beside a worker, out of its way."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence

from trafficapp.stack.children import spawn

_log = logging.getLogger(__name__)

#: Less weight on the processors than what keeps the numbers exact.
_NICENESS = 10
_STOP_SECONDS = 5.0
_KEPT_LINES = 8

#: What is read at once, and what is kept of a line: progress without an end of line may be as long as it likes.
_CHUNK_BYTES, _LINE_BYTES = 1 << 16, 2000


class ProgramFailed(Exception):
    """A program did not do what it was run for; the message is what it said last."""


async def run_program(
    command: Sequence[str], environment: Mapping[str, str] | None = None, done: Collection[int] = (0,)
) -> str:
    """Run a program to its end, with less priority than we have. It does not outlive us, even if we are killed.

    Args:
        command: the program and its arguments; everybody on the machine sees them, so no secrets.
        environment: variables beside our own.
        done: exit codes of a program that did what it was run for.

    Returns:
        the last line that it said.

    Raises:
        ProgramFailed: it cannot be started, or ended with an error.
    """
    try:
        process = await spawn(command, env=environment)
    except OSError as error:
        raise ProgramFailed(f"{command[0]} cannot be started: {error.strerror}") from None
    try:
        with contextlib.suppress(OSError):  # it may be over already
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
        lines = await _last_lines(process)
        code = await process.wait()
    except BaseException:
        await _stop(process)
        raise
    if code not in done:
        raise ProgramFailed(" / ".join(lines) or f"it ended with {code} and said nothing")
    return lines[-1] if lines else ""


async def _last_lines(process: asyncio.subprocess.Process) -> list[str]:
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    assert process.stdout is not None  # noqa: S101 - it is piped
    begun = b""
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        # a carriage return ends a line too: what it says is written over by the next
        *whole, begun = (begun + chunk).replace(b"\r", b"\n").split(b"\n")
        begun = begun[:_LINE_BYTES]
        kept.extend(_said(whole))
    kept.extend(_said([begun]))
    return list(kept)


def _said(lines: Sequence[bytes]) -> Iterator[str]:
    for line in lines:
        if text := line[:_LINE_BYTES].decode(errors="replace").strip():
            _log.debug("%s", text)
            yield text


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except BaseException as error:
            process.kill()
            if not isinstance(error, TimeoutError):
                raise
            await process.wait()
