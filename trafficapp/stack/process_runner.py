"""Keep one process running: start it, read its output, ask whether it is ready, start it again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable

from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.process_spec import Event, EventKind, LogLine, ProcessSpec

READY_POLL_SECONDS = 0.1
TAIL_LINES = 40


class ProcessRunner:
    """A task that starts the process of one spec, watches it, and starts it again."""

    def __init__(
        self, spec: ProcessSpec, log_line: LogLine, tell: Callable[[Event], None], told: LogLine | None = None
    ) -> None:
        self.spec = spec
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.wanted = False
        self.restarts = 0
        self._log_line = log_line
        self._told = told or log_line
        self._tell = tell
        self._ended_at: float | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.failure: str | None = None
        self._last_probe: str | None = None
        self._killed = False
        # Nothing runs and nothing is being forked: only then may the task be cancelled without losing a child.
        self._between_starts = True

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def is_ready(self) -> bool:
        """Whether the process has answered since its last start."""
        return self._ready.is_set() and self.pid is not None

    def start(self) -> None:
        """Start, unless it runs; does not wait until ready."""
        if self._task is not None and not self._task.done():
            if self.wanted:
                return
            raise RuntimeError(f"{self.spec.name} is being stopped; await that first")
        self.wanted = True
        self.failure = None
        self._ended_at = None
        self._ready.clear()
        self._task = asyncio.create_task(self._run(), name=f"supervise {self.spec.name}")

    async def wait_ready(self, timeout_seconds: float | None) -> None:
        """Wait until the process answers; None: as long as its spec allows.

        Raises:
            StackError: It ended for good, or time is up.
        """
        limit_seconds = self.spec.ready_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + limit_seconds
        while not self.is_ready:
            if self.failure is not None:
                raise StackError(self._with_tail(self.failure))
            if not self.wanted:
                raise StackError(f"{self.spec.name} is not running")
            if time.monotonic() > deadline:
                hint = f" ({self._last_probe})" if self._last_probe else ""
                raise StackError(self._with_tail(f"{self.spec.name} was not ready after {limit_seconds:.0f} s{hint}"))
            await asyncio.sleep(READY_POLL_SECONDS)

    async def kill(self, signal_number: int, stay_down: bool) -> None:
        """Send a signal; with `stay_down` wait for the end and do not start again."""
        self._killed = self.pid is not None
        if stay_down:
            self.wanted = False
        self._send(signal_number)
        if stay_down and self._task is not None:
            await self._finish(self.spec.stop_timeout_seconds)

    async def stop(self) -> None:
        """End the process, gently first; it stays down."""
        self.wanted = False
        if self._task is None:
            return
        self._send(self.spec.stop_signal)
        await self._finish(self.spec.stop_timeout_seconds)

    async def _finish(self, timeout_seconds: float) -> None:
        """Wait for the task to see the end of its process; after the time, end both."""
        if self._task is None:
            return
        if self._between_starts:
            self._task.cancel()
        await asyncio.wait([self._task], timeout=timeout_seconds)
        if not self._task.done():
            self._send(signal.SIGKILL)
        await asyncio.wait([self._task])
        self._task = None
        self._ready.clear()

    def _send(self, signal_number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal_number)

    async def _run(self) -> None:
        quick_ends = 0
        while self.wanted:
            started = time.monotonic()
            try:
                exit_code = await self._run_once()
            except (OSError, StackError) as problem:
                self._give_up(f"{self.spec.name} cannot be started: {problem}")
                return
            if not self.wanted:
                return
            if self._killed:  # An end that was asked for says nothing against the process.
                quick_ends, self._killed = 0, False
            policy = self.spec.restart
            if policy is None:
                self._give_up(f"{self.spec.name} ended with {exit_code}")
                return
            quick_ends = 1 if time.monotonic() - started >= policy.steady_seconds else quick_ends + 1
            if policy.attempts is not None and quick_ends > policy.attempts:
                self._give_up(f"{self.spec.name} ended {quick_ends} times in a row, last with {exit_code}")
                return
            wait_seconds = policy.wait_seconds(quick_ends)
            if self._ended_at is None:
                self._ended_at = time.monotonic()
            self._report(f"{_how_it_ended(exit_code)}; starting again in {wait_seconds:.1f} s")
            await asyncio.sleep(wait_seconds)
            self.restarts += 1

    async def _run_once(self) -> int:
        """Start the process and return its exit code when it has ended and its pipe is empty."""
        spec = self.spec
        self._ready.clear()
        self._killed = False
        self._between_starts = True
        if spec.pid_file is not None:
            await asyncio.to_thread(children.end_orphan, spec.pid_file, spec.death_signal)
        if spec.before_start is not None:
            await spec.before_start()
        self._between_starts = False
        process = self._process = await children.spawn(
            spec.command, env=spec.env, cwd=spec.cwd, identity=spec.identity, death_signal=spec.death_signal
        )
        if not self.wanted:  # Stopped while it was being born.
            self._send(signal.SIGKILL)
        if spec.pid_file is not None:
            children.remember(spec.pid_file, process.pid)
        self._event(EventKind.STARTED, process)
        probe = asyncio.create_task(self._probe(process))
        reader = asyncio.create_task(self._read(process))
        try:
            exit_code = await process.wait()
            # A grandchild may hold the pipe open; its lines are not worth waiting for.
            await asyncio.wait([reader], timeout=1)
        finally:
            probe.cancel()
            reader.cancel()
        self._ready.clear()
        if spec.pid_file is not None:
            spec.pid_file.unlink(missing_ok=True)
        self._event(EventKind.EXITED if self.wanted else EventKind.STOPPED, process)
        self._between_starts = True
        return exit_code

    async def _probe(self, process: asyncio.subprocess.Process) -> None:
        while self.spec.ready is not None:
            try:
                if await self.spec.ready():
                    break
            except Exception as problem:  # Whatever it is, the process is not ready.
                self._last_probe = f"{type(problem).__name__}: {problem}"
            await asyncio.sleep(READY_POLL_SECONDS)
        self._ready.set()
        if self._ended_at is not None:
            self._report(f"is there again after {time.monotonic() - self._ended_at:.1f} s")
            self._ended_at = None
        self._event(EventKind.READY, process)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        pipe = process.stdout
        while pipe is not None:
            try:
                raw = await pipe.readline()
            except ValueError:  # A line longer than the limit was dropped; the next one is read again.
                continue
            if not raw:
                return
            self._say(raw.decode("utf-8", "replace").rstrip("\r\n"))

    def _say(self, line: str) -> None:
        self.tail.append(line)
        self._log_line(self.spec.name, line)

    def _report(self, text: str) -> None:
        """Say something of our own about the process."""
        self.tail.append(text)
        self._told(self.spec.name, text)

    def _give_up(self, reason: str) -> None:
        self.wanted = False
        self.failure = reason
        self._report(reason)
        self._event(EventKind.GAVE_UP, self._process)

    def _event(self, kind: EventKind, process: asyncio.subprocess.Process | None) -> None:
        pid, exit_code = (process.pid, process.returncode) if process is not None else (None, None)
        self._tell(Event(kind, self.spec.name, pid, exit_code, time.monotonic()))

    def _with_tail(self, reason: str) -> str:
        lines = [line for line in list(self.tail)[-12:] if line != reason]
        return "\n".join([reason, *(f"  {self.spec.name} | {line}" for line in lines)])


def _how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was ended by signal {-exit_code}"
