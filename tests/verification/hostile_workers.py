"""What is seen of the workers while they are under fire: answers of ``/health``, memory, ends that nobody asked for."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import psutil

from tests.verification.deployment import Deployment, until
from trafficapp.stack import children
from trafficapp.stack.supervisor import Event, EventKind
from trafficapp.stack.workers import Worker

#: No answer may take longer, whatever else the machine has to do. How much of it a worker had work and no core was free
#: for it is told beside it.
HEALTH_SECONDS = 0.250

#: What a worker may hold: half as much again as the most that was measured in five runs of this load, 396 MiB.
MEMORY_MIB = 600.0

_MEMORY_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Answer:
    """An answer of a worker: when it was asked for and after how long it came; status 0 for none.

    Attributes:
        waited_seconds: for how long of it the worker had work and no core of the machine was free for it.
        stolen_seconds: for how long of it a core was taken from the machine itself, which is a virtual one then.
    """

    port: int
    asked_at: float
    seconds: float
    status: int
    waited_seconds: float = 0.0
    stolen_seconds: float = 0.0

    @property
    def own_seconds(self) -> float:
        """What the worker itself took."""
        return self.seconds - self.waited_seconds

    @property
    def ended_at(self) -> float:
        """When it came."""
        return self.asked_at + self.seconds


@dataclass
class Watched:
    """What was seen.

    Attributes:
        killed_at: the moments of our kills, by worker.
        memory_mib: the most that each worker held.
        events: what happened to the processes.
        began_at: when the watch began.
        late_seconds: by how much the process that asks woke up too late itself, at most.
    """

    workers: Sequence[Worker]
    killed_at: dict[str, list[float]] = field(default_factory=dict)
    memory_mib: dict[str, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    late_seconds: float = 0.0
    began_at: float = field(default_factory=time.monotonic)

    def read(self, lines: Iterable[str]) -> None:
        """Take in what `tests.verification.hostile_watch` wrote."""
        for line in lines:
            words = line.split()
            if words[:1] == ["late"]:
                self.late_seconds = max(self.late_seconds, float(words[2]))
            elif len(words) == 6:
                asked_at, seconds, waited, stolen = (float(words[place]) for place in (1, 2, 4, 5))
                self.answers.append(Answer(int(words[0]), asked_at, seconds, int(words[3]), waited, stolen))

    def answers_of(self, worker: Worker) -> list[Answer]:
        """Answers that count: asked for after a worker's first one, and after the first one behind each kill.

        One that a kill cut off counts with the time that it had been waited for by then.
        """
        own = sorted((one for one in self.answers if one.port == worker.web_port), key=lambda one: one.asked_at)
        lives = [0.0, *sorted(self.killed_at.get(worker.name, [])), math.inf]
        counted = []
        for begin, end in pairwise(lives):
            asked = [one for one in own if begin <= one.asked_at < end]
            up_at = min((one.ended_at for one in asked if one.status == 200), default=math.inf)
            for one in asked:
                if one.asked_at >= up_at:
                    counted.append(one if one.ended_at < end else replace(one, seconds=end - one.asked_at, status=200))
        return counted

    def faults(self) -> list[str]:
        """Whatever of it must not be."""
        faults = []
        for worker in self.workers:
            answers = self.answers_of(worker)
            if not answers:
                faults.append(f"{worker.name} never answered")
            slow = [one for one in answers if one.seconds > HEALTH_SECONDS or one.status != 200]
            for one in sorted(slow, key=lambda one: -one.seconds)[:5]:
                faults.append(
                    f"{worker.name} at {one.asked_at - self.began_at:.1f} s: "
                    f"/health answered {one.status} after {one.seconds * 1000:.0f} ms, "
                    f"{one.waited_seconds * 1000:.0f} ms of them without a core, "
                    f"{one.stolen_seconds * 1000:.0f} ms with one less in the machine"
                )
            if self.memory_mib.get(worker.name, 0.0) > MEMORY_MIB:
                faults.append(f"{worker.name} held {self.memory_mib[worker.name]:.0f} MiB")
            faults += self._end_faults(worker)
        return faults

    def _end_faults(self, worker: Worker) -> list[str]:
        ends = [one for one in self.events if one.name == worker.name and one.kind is EventKind.EXITED]
        codes = Counter(one.exit_code for one in ends)
        killed = len(self.killed_at.get(worker.name, []))
        if codes == Counter({-signal.SIGKILL: killed} if killed else {}):
            return []
        return [f"{worker.name} was killed {killed} times and ended with {dict(codes)}"]

    def table(self) -> list[str]:
        """A line for each worker."""
        lines = [f"  {'worker':10}{'killed':>8}{'/health':>10}{'p99.9 ms':>10}{'max ms':>9}{'its own':>9}{'MiB':>7}"]
        for worker in self.workers:
            answers = self.answers_of(worker)
            seconds = sorted(one.seconds for one in answers) or [0.0]
            own = max((one.own_seconds for one in answers), default=0.0)
            share = seconds[min(int(len(seconds) * 0.999), len(seconds) - 1)]
            lines.append(
                f"  {worker.name:10}{len(self.killed_at.get(worker.name, [])):>8}{len(seconds):>10,}"
                f"{share * 1000:>10.0f}{seconds[-1] * 1000:>9.0f}{own * 1000:>9.0f}"
                f"{self.memory_mib.get(worker.name, 0.0):>7.0f}"
            )
        return lines


@asynccontextmanager
async def watched(deployment: Deployment, log: Path) -> AsyncIterator[Watched]:
    """Watch the workers of a deployment; what was answered is there at the end."""
    found = Watched(deployment.workers)
    files = deployment.folder / "run"
    places = [f"{worker.web_port}={files / worker.name}.pid" for worker in deployment.workers]
    process = await children.spawn([sys.executable, "-m", "tests.verification.hostile_watch", *places])
    assert process.stdout is not None
    with log.open("wb") as file:
        async with deployment.supervisor.events() as events, asyncio.TaskGroup() as tasks:
            tell = tasks.create_task(_copy(process.stdout, file))
            weigh = tasks.create_task(_weigh(deployment, found))
            try:
                yield found
            finally:
                weigh.cancel()
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()
                await tell
                while not events.empty():
                    found.events.append(events.get_nowait())
    found.read((await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")).splitlines())


async def kill(deployment: Deployment, found: Watched, moments: Sequence[tuple[float, str]]) -> None:
    """Kill workers at their moments; each must have answered since it was killed before."""
    began = time.monotonic()
    for at_seconds, name in moments:
        await asyncio.sleep(max(began + at_seconds - time.monotonic(), 0))
        await until(lambda name=name: deployment.supervisor.is_ready(name), 60, 0.05)  # type: ignore[misc]
        found.killed_at.setdefault(name, []).append(time.monotonic())
        await deployment.supervisor.kill(name)
        print(f"  {time.monotonic() - began:5.1f} s  {name} killed", flush=True)


async def _copy(lines: asyncio.StreamReader, file: object) -> None:
    async for line in lines:
        file.write(line)  # type: ignore[attr-defined]


async def _weigh(deployment: Deployment, found: Watched) -> None:
    while True:
        for worker in deployment.workers:
            pid = deployment.supervisor.pid(worker.name)
            with contextlib.suppress(psutil.Error):
                if pid is not None:
                    mib = psutil.Process(pid).memory_info().rss / (1 << 20)
                    found.memory_mib[worker.name] = max(found.memory_mib.get(worker.name, 0.0), mib)
        await asyncio.sleep(_MEMORY_EVERY_SECONDS)
