"""Answers a worker's costly questions on a socket: ``python -m web.costly SOCKET``, with pickled settings on its input.

The end of the input is the end of the process; so are some minutes in which nobody asks, and more memory than it may
have.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import NoReturn

#: Workers come first, while it loads what it needs as well. What lays out reports is behind even this.
_NICENESS = 10


def main() -> None:
    """Answer until the worker ends."""
    # Ctrl-C in a terminal is for the worker, whose end is ours
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(_NICENESS)
    length = int.from_bytes(sys.stdin.buffer.read(8), "big")
    settings = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301 - of the worker that started us
    from trafficapp.logs import install_text

    install_text(logging.INFO)
    asyncio.run(_serve(settings, sys.argv[1]))


async def _serve(settings: object, path: str) -> None:
    from aiohttp import web

    from trafficapp.settings import Settings
    from web.costly.answering import Answering
    from web.costly.application import make_application
    from web.costly.process import READY

    assert isinstance(settings, Settings)  # noqa: S101 - as the worker has them
    answering = Answering(settings.limits.costly_memory_mib << 20)
    application = make_application(settings, answering)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, max_line_size=1 << 20)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    ends = [
        asyncio.create_task(end) for end in (asyncio.to_thread(sys.stdin.buffer.read), answering.until_it_may_end())
    ]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    await runner.cleanup()
    _end(Path(path))


def _end(path: Path) -> NoReturn:
    # a worker that was killed leaves them behind
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        path.parent.rmdir()
    # the thread that waits for the worker may wait on
    os._exit(0)


if __name__ == "__main__":
    main()
