"""Run named processes in ordered groups: start when the group before is ready, restart, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trafficapp.stack import children
from trafficapp.stack.errors import StackError
from trafficapp.stack.identity import Identity

READY_POLL_SECONDS = 0.05
TAIL_LINES = 40


@dataclass(frozen=True)
class Restart:
    """When and how often a process that ended by itself is started again.

    The n-th quick end in a row is followed by a wait of `first · 2^(n-1)` seconds, at most `longest`; a process that
    ran for `steady` seconds has a clean record again. After `attempts` quick ends in a row we give up (None: never).
    """

    first_seconds: float = 0.3
    longest_seconds: float = 10.0
    steady_seconds: float = 20.0
    attempts: int | None = None

    def wait_seconds(self, quick_ends: int) -> float:
        """Return the pause before the start that follows `quick_ends` quick ends in a row."""
        return min(self.first_seconds * 2.0 ** min(quick_ends - 1, 32), self.longest_seconds)


@dataclass(frozen=True)
class ProcessSpec:
    """What to run, how to tell that it is ready, and how it ends."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    """Asked again and again until it says True; None: ready as soon as it runs. An exception is a "no"."""
    ready_timeout_seconds: float = 60.0
    before_start: Callable[[], Awaitable[None]] | None = None
    """Awaited before every start, also before a restart: clears what a crash left behind."""
    restart: Restart | None = field(default_factory=Restart)
    """None: a process that ends stays ended."""
    stop_signal: int = signal.SIGTERM
    stop_timeout_seconds: float = 15.0
    death_signal: int = signal.SIGKILL
    """Sent by the kernel when the supervisor itself dies."""
    identity: Identity | None = None
    pid_file: Path | None = None


class EventKind(StrEnum):
    """What can happen to a process."""

    STARTED = "started"
    READY = "ready"
    EXITED = "exited"
    STOPPED = "stopped"
    GAVE_UP = "gave up"


@dataclass(frozen=True)
class Event:
    """Something that happened to a process; `monotonic_seconds` is on `time.monotonic`'s clock."""

    kind: EventKind
    name: str
    pid: int | None
    exit_code: int | None
    monotonic_seconds: float


LogLine = Callable[[str, str], None]
"""Called with a process's name and a line it wrote, without the line end."""


class Supervisor:
    """Starts, watches and stops processes. Use it on the main thread's event loop (see `children.spawn`)."""

    def __init__(self, groups: Sequence[Sequence[ProcessSpec]] = (), log_line: LogLine | None = None) -> None:
        self._groups: list[list[_Runner]] = []
        self._runners: dict[str, _Runner] = {}
        self._log_line = log_line or (lambda name, line: None)
        self._listeners: set[asyncio.Queue[Event]] = set()
        for group in groups:
            self.add_group(group)

    def add_group(self, specs: Sequence[ProcessSpec]) -> None:
        """Add processes that start after all groups before them are ready, and stop before them."""
        runners = [_Runner(spec, self._log_line, self._tell) for spec in specs]
        for runner in runners:
            if runner.spec.name in self._runners:
                raise ValueError(f"two processes are called {runner.spec.name}")
            self._runners[runner.spec.name] = runner
        self._groups.append(runners)

    @property
    def names(self) -> list[str]:
        """Return the names of all processes, in start order."""
        return list(self._runners)

    async def start_all(self) -> None:
        """Start group after group; return when the last one is ready.

        Raises:
            StackError: A process did not become ready; what runs goes on until `stop_all`.
        """
        for group in list(self._groups):
            waits = [asyncio.create_task(self._start_and_wait(runner)) for runner in group if not runner.wanted]
            try:
                await asyncio.gather(*waits)
            finally:
                for wait in waits:
                    wait.cancel()

    async def start(self, name: str) -> None:
        """Start a process (nothing happens when it runs); see `wait_ready`."""
        self._runners[name].start()

    async def wait_ready(self, name: str, timeout_seconds: float | None = None) -> None:
        """Wait until the process answers.

        Raises:
            StackError: It ended for good, or time is up; the text holds its last lines.
        """
        await self._runners[name].wait_ready(timeout_seconds)

    async def kill(self, name: str, signal_number: int = signal.SIGKILL, *, stay_down: bool = False) -> None:
        """Send a signal, SIGKILL unless told.

        What ends by it is started again as after any end, unless `stay_down`: then it is waited for, and `start`
        brings it back.
        """
        await self._runners[name].kill(signal_number, stay_down)

    async def stop(self, name: str) -> None:
        """Stop a process gently, SIGKILL after its time; it stays down until `start`."""
        await self._runners[name].stop()

    async def restart(self, name: str) -> None:
        """Stop gently, start, and wait until ready."""
        await self.stop(name)
        await self.start(name)
        await self.wait_ready(name)

    async def stop_all(self) -> None:
        """Stop the groups in reverse order, the processes of one group at once."""
        for group in reversed(self._groups):
            await asyncio.gather(*(runner.stop() for runner in group))

    def pid(self, name: str) -> int | None:
        """Return the process's number while it runs."""
        return self._runners[name].pid

    def is_ready(self, name: str) -> bool:
        """Say whether the process has answered since its last start."""
        return self._runners[name].is_ready

    def restarts(self, name: str) -> int:
        """Return how often the process was started again after it ended by itself."""
        return self._runners[name].restarts

    def failures(self) -> dict[str, str]:
        """Return why, for each process that was given up."""
        return {name: runner.failure for name, runner in self._runners.items() if runner.failure is not None}

    def tail(self, name: str) -> list[str]:
        """Return the last lines the process wrote."""
        return list(self._runners[name].tail)

    @contextlib.asynccontextmanager
    async def events(self) -> AsyncIterator[asyncio.Queue[Event]]:
        """Give a queue that gets every event from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def _start_and_wait(self, runner: _Runner) -> None:
        runner.start()
        await runner.wait_ready(None)

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)


class _Runner:
    """One process: a task that starts it, watches it, and starts it again."""

    def __init__(self, spec: ProcessSpec, log_line: LogLine, tell: Callable[[Event], None]) -> None:
        self.spec = spec
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.wanted = False
        self.restarts = 0
        self._log_line = log_line
        self._tell = tell
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
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set() and self.pid is not None

    def start(self) -> None:
        if self._task is not None and not self._task.done():
            if self.wanted:
                return
            raise RuntimeError(f"{self.spec.name} is being stopped; await that first")
        self.wanted = True
        self.failure = None
        self._ready.clear()
        self._task = asyncio.create_task(self._run(), name=f"supervise {self.spec.name}")

    async def wait_ready(self, timeout_seconds: float | None) -> None:
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
        self._killed = self.pid is not None
        if stay_down:
            self.wanted = False
        self._send(signal_number)
        if stay_down and self._task is not None:
            await self._finish(self.spec.stop_timeout_seconds)

    async def stop(self) -> None:
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
            self._say(f"ended with {exit_code}; starting again in {wait_seconds:.1f} s")
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

    def _give_up(self, reason: str) -> None:
        self.wanted = False
        self.failure = reason
        self._say(reason)
        self._event(EventKind.GAVE_UP, self._process)

    def _event(self, kind: EventKind, process: asyncio.subprocess.Process | None) -> None:
        pid, exit_code = (process.pid, process.returncode) if process is not None else (None, None)
        self._tell(Event(kind, self.spec.name, pid, exit_code, time.monotonic()))

    def _with_tail(self, reason: str) -> str:
        lines = [line for line in list(self.tail)[-12:] if line != reason]
        return "\n".join([reason, *(f"  {self.spec.name} | {line}" for line in lines)])
