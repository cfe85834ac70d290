"""Run named processes in ordered groups: start when the group before is ready, restart, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence

from trafficapp.stack.process_runner import ProcessRunner
from trafficapp.stack.process_spec import Event, EventKind, LogLine, ProcessSpec, Restart

__all__ = ["Event", "EventKind", "LogLine", "ProcessSpec", "Restart", "Supervisor"]


class Supervisor:
    """Starts, watches and stops processes. Use it on the main thread's event loop (see `children.spawn`)."""

    def __init__(
        self,
        groups: Sequence[Sequence[ProcessSpec]] = (),
        log_line: LogLine | None = None,
        told: LogLine | None = None,
    ) -> None:
        """Run `groups`, one after the other.

        Args:
            groups: see `add_group`.
            log_line: takes every line that a process writes.
            told: takes what is to be known of a process (it ended, it is there again); `log_line` unless given.
        """
        self._groups: list[list[ProcessRunner]] = []
        self._runners: dict[str, ProcessRunner] = {}
        self._log_line = log_line or (lambda name, line: None)
        self._told = told or self._log_line
        self._listeners: set[asyncio.Queue[Event]] = set()
        for group in groups:
            self.add_group(group)

    def add_group(self, specs: Sequence[ProcessSpec]) -> None:
        """Add processes that start after all groups before them are ready, and stop before them."""
        runners = [ProcessRunner(spec, self._log_line, self._tell, self._told) for spec in specs]
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

    async def _start_and_wait(self, runner: ProcessRunner) -> None:
        runner.start()
        await runner.wait_ready(None)

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            queue.put_nowait(event)
