"""The process that answers a worker's costly questions: started with the first, ended with the worker.

It serves the same views (`web.costly.__main__`) on a socket in a folder that only this user can enter, and it reads
settings on its standard input, whose end is its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from yarl import URL

from trafficapp.settings import Settings
from web.serving.problems import ProblemError, unavailable

logger = logging.getLogger(__name__)

#: It loads what it needs in a second or two, and in many more on a machine that is busy.
START_WITHIN_SECONDS = 60.0
_STOP_WITHIN_SECONDS = 2.0

#: Views have limits of their own; whoever says nothing for this long hangs.
_HEAD_WITHIN_SECONDS = 120.0

#: What stands on its standard output once it answers.
READY = b"ready\n"

_HOST = "http://costly"


@dataclass(slots=True)
class _Running:
    process: asyncio.subprocess.Process
    folder: tempfile.TemporaryDirectory[str]
    session: aiohttp.ClientSession

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None

    async def end(self) -> None:
        """Let it end, by force when it does not."""
        await self.session.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            async with asyncio.timeout(_STOP_WITHIN_SECONDS):
                await self.process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        finally:
            self.folder.cleanup()


class CostlyProcess:
    """Starts the process when it is first asked, and again when it has ended.

    Args:
        settings: of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: _Running | None = None
        self._making: asyncio.Task[_Running] | None = None
        self._is_stopped = False

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        running = self._running
        return None if running is None or running.has_ended else running.process.pid

    @asynccontextmanager
    async def ask(self, method: str, target: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a question, its body still to be read; leaving the block stops what is still being made.

        Args:
            method: ``GET`` or ``HEAD``.
            target: path and query, as they came.
            headers: of the question.

        Raises:
            ProblemError: 503, there is no answer.
        """
        answer = await self._answer(method, target, headers)
        try:
            yield answer
        finally:
            answer.close()

    async def stop(self) -> None:
        """End it; it is not started again."""
        self._is_stopped = True
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])
        running, self._running = self._running, None
        if running is not None:
            await running.end()

    async def _answer(self, method: str, target: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        # it ends by itself when nobody has asked for a while, perhaps just now
        for is_last in (False, True):
            running = await self._started()
            try:
                async with asyncio.timeout(_HEAD_WITHIN_SECONDS):
                    return await running.session.request(
                        method, URL(_HOST + target, encoded=True), headers=headers, allow_redirects=False
                    )
            except TimeoutError:
                logger.error("the process for costly questions has hung and is ended")
                with contextlib.suppress(ProcessLookupError):
                    running.process.kill()
                break
            except (aiohttp.ClientError, OSError) as error:
                if is_last:
                    logger.warning("the process for costly questions does not answer: %r", error)
                else:
                    await self._see_it_end(running)
        raise _away()

    async def _started(self) -> _Running:
        running = self._running
        if running is not None and not running.has_ended:
            return running
        if self._making is None:
            self._making = asyncio.create_task(self._make(), name="start the process for costly questions")
            self._making.add_done_callback(self._made)
        # the one who asked first may leave before it is there
        return await asyncio.shield(self._making)

    async def _make(self) -> _Running:
        if self._is_stopped:
            raise _away()
        before, self._running = self._running, None
        if before is not None:
            if before.process.returncode:
                logger.warning("the process for costly questions ended with %d", before.process.returncode)
            await before.end()
        self._running = await self._start()
        return self._running

    def _made(self, making: asyncio.Task[_Running]) -> None:
        self._making = None
        if not making.cancelled():
            making.exception()  # told to those who wait for it

    async def _see_it_end(self, running: _Running) -> None:
        """Give it the time to end, so that another one is started; it goes on when it merely lost a connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WITHIN_SECONDS):
                await running.process.wait()

    async def _start(self) -> _Running:
        folder = tempfile.TemporaryDirectory(prefix="trafficapp-", ignore_cleanup_errors=True)  # only ours: mode 0700
        path = Path(folder.name) / "costly"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "web.costly", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(path), limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        running = _Running(process, folder, session)
        assert process.stdin is not None  # noqa: S101 - as asked for
        assert process.stdout is not None  # noqa: S101 - as asked for
        try:
            async with asyncio.timeout(START_WITHIN_SECONDS):
                settings = pickle.dumps(self._settings)
                process.stdin.write(len(settings).to_bytes(8, "big") + settings)
                await process.stdin.drain()
                if await process.stdout.readline() != READY:
                    raise ProcessLookupError("it ended while it started")
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await running.end()
            if isinstance(error, OSError | TimeoutError):
                logger.error("the process for costly questions cannot be started: %r", error)
                raise _away() from error
            raise
        logger.info("costly questions are answered by process %d", process.pid)
        return running


def _away() -> ProblemError:
    return unavailable("What answers costly questions")
