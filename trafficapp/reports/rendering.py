"""Reports made in a process of their own.

Laying out a document holds the interpreter for most of a second, in a thread as well; live sockets must
not wait for that. The process is told the report, answers with the PDF, and is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys

from trafficapp.reports.report import Report, encode_report

_log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 30.0
#: Reports that one worker makes at the same time, and requests that may wait for their turn.
AT_ONCE = 1
MAX_WAITING = 20


class ReportFailed(Exception):
    """No report was made; the message says why in a few words."""


class Reports:
    """Makes one report after the other."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def render(self, report: Report) -> bytes:
        """Make the PDF.

        Raises:
            ReportFailed: too many are waiting, or it took too long, or it is not to be printed.
        """
        if self._waiting >= MAX_WAITING:
            raise ReportFailed("too many reports are waiting")
        self._waiting += 1
        try:
            async with self._turn:
                return await _render(encode_report(report))
        finally:
            self._waiting -= 1


async def _render(report: bytes) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trafficapp.reports"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            document, errors = await process.communicate(report)
    except TimeoutError:
        raise ReportFailed("it took too long") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0 or not document.startswith(b"%PDF"):
        _log.error("a report was not made: %s", errors.decode("utf-8", "replace")[-2000:])
        raise ReportFailed("it cannot be printed")
    return document
