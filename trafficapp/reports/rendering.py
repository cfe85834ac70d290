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


class ReportFailed(Exception):
    """No report was made; the message says why in a few words."""


async def render(report: Report) -> bytes:
    """Make the PDF; who asks no longer cancels this, and the process ends.

    Raises:
        ReportFailed: it took too long, or it is not to be printed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trafficapp.reports"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            document, errors = await process.communicate(encode_report(report))
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
