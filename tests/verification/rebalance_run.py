"""One run of the rebalance check: servers of its own, load, disturbances, and the comparison with the truth."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal

from tests.verification.compare import Comparison, compare_rows, read_topic
from tests.verification.log import end_offsets, read_log
from tests.verification.truth import Rules, truth_of
from trafficapp.engine.kafka import create_topics
from trafficapp.engine.state_rows import PARTITION_KEY_PREFIX, offset_of
from trafficapp.settings import Settings, load_settings
from trafficapp.stack import children
from trafficapp.stack.console import DownloadBar, LogOutput
from trafficapp.stack.servers import data_dir, embedded
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stack.supervisor import EventKind, ProcessSpec, Restart, Supervisor
from trafficapp.topics import EVENTS_RAW, METRICS, camera_state_changelog, declared_topics
from trafficapp.windows.cameras import decode_camera_row
from trafficapp.windows.partition import decode_partition_row

Mode = Literal["plain", "adversary", "drop", "lww"]

FIRST_WORKERS = ("worker-1", "worker-2")
JOINING_WORKER = "worker-3"
HURTS = frozenset({"kill", "term", "freeze"})
DOWN_SECONDS = 3.0
FROZEN_SECONDS = 10.0
LOSSES_APART_SECONDS = 13.0
#: Until a worker that was started is a member of the group.
STARTING_SECONDS = 5.0
SETTLE_SECONDS = 120.0
#: Ticks come every second and detections all the time: a longer pause of a partition is a takeover.
GAP_SECONDS = 1.5

_APP_ID = "rebalance"
_ELSEWHERE = Endpoints(None, "postgresql://127.0.0.1:1/nowhere", "redis://127.0.0.1:1/0")


@dataclass(frozen=True)
class Disturbance:
    """What was done to a worker, on `time.monotonic`'s clock."""

    kind: str
    worker: str
    at_seconds: float


@dataclass
class RunResult:
    """What a run came to.

    Attributes:
        longest_pause_seconds: the longest time in which a partition was not applied, whatever happened in it.
        takeovers: the longest time from each disturbance until its partitions went on, by kind, in seconds.
    """

    mode: Mode
    seed: int
    events: int = 0
    rows: int = 0
    different: int = 0
    repeats: int = 0
    settled: bool = False
    longest_pause_seconds: float = 0.0
    takeovers: dict[str, list[float]] = field(default_factory=dict)
    exits: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    comparisons: list[Comparison] = field(default_factory=list)


@dataclass
class Run:
    """The parts of a run."""

    mode: Mode
    seed: int
    seconds: float
    rate: int
    logs: Path
    settings: Settings
    supervisor: Supervisor
    disturbances: list[Disturbance] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)

    @property
    def servers(self) -> str:
        """Address of the broker."""
        return self.settings.kafka.bootstrap_servers

    def note(self, kind: str, worker: str) -> None:
        """Remember a disturbance that begins now."""
        self.disturbances.append(Disturbance(kind, worker, time.monotonic()))

    # ------------------------------------------------------------------ load and disturbances

    async def load(self) -> None:
        """Send detections, and disturb the workers meanwhile."""
        arguments = ["--seed", str(self.seed), "--seconds", str(self.seconds), "--rate", str(self.rate)]
        tasks = [self._process("rebalance_load", arguments)]
        if self.mode in ("adversary", "lww"):
            arguments = ["--seed", str(self.seed), "--seconds", str(self.seconds + 3)]
            tasks.append(
                self._process("rebalance_adversary", [*arguments, "--topic", camera_state_changelog(self.settings)])
            )
        await asyncio.gather(*tasks, self.disturb())

    async def disturb(self) -> None:
        """Carry out the plan of the seed: a join, a kill and a stop at any moments, and a freeze.

        The broker notices a killed and a frozen worker only by their silence, six seconds each, and when the
        second falls silent while the group waits for the first, the waits add up, in any system. So the freeze
        keeps away from the kill, and each pause must be short as a whole.
        """
        chance = random.Random(self.seed)
        first, last = 5.0, self.seconds - 8
        plan = [(chance.uniform(first, last), kind) for kind in ("join", "kill", "term")]
        kill_at = plan[1][0]
        freeze_at = chance.uniform(first, last)
        while abs(freeze_at - kill_at) < LOSSES_APART_SECONDS:
            freeze_at = chance.uniform(first, last)
        plan.append((freeze_at, "freeze"))
        began = time.monotonic()
        going_on = []
        for at_seconds, kind in sorted(plan):
            await asyncio.sleep(max(began + at_seconds - time.monotonic(), 0))
            if kind == "join":
                going_on.append(asyncio.create_task(self._join()))
                await asyncio.sleep(0)
                continue
            healthy = self._healthy()
            while len(healthy) < 2:  # one is always left to take over
                await asyncio.sleep(0.1)
                healthy = self._healthy()
            going_on.append(asyncio.create_task(self._hurt(kind, chance.choice(healthy))))
            await asyncio.sleep(0)
        await asyncio.gather(*going_on)

    async def _join(self) -> None:
        self.busy.add(JOINING_WORKER)
        self.note("join", JOINING_WORKER)
        await self.supervisor.start(JOINING_WORKER)
        await asyncio.sleep(STARTING_SECONDS)
        self.busy.discard(JOINING_WORKER)

    async def _hurt(self, kind: str, worker: str) -> None:
        self.busy.add(worker)
        self.note(kind, worker)
        if kind == "freeze":
            await self.supervisor.kill(worker, signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
            await self.supervisor.kill(worker, signal.SIGCONT)
            self.note("thaw", worker)
        else:
            if kind == "kill":
                await self.supervisor.kill(worker, stay_down=True)
                await asyncio.sleep(DOWN_SECONDS)
            else:
                await self.supervisor.stop(worker)
            self.note("rejoin", worker)
            await self.supervisor.start(worker)
            await asyncio.sleep(STARTING_SECONDS)
        self.busy.discard(worker)

    def _healthy(self) -> list[str]:
        names = (*FIRST_WORKERS, JOINING_WORKER)
        return [name for name in names if name not in self.busy and self.supervisor.pid(name)]

    async def _process(self, module: str, arguments: list[str]) -> None:
        command = [
            sys.executable,
            "-m",
            f"tests.verification.{module}",
            "--bootstrap-servers",
            self.servers,
            *arguments,
        ]
        process = await children.spawn(command)
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        (self.logs / f"{module}.log").write_bytes(output)
        if process.returncode:
            raise RuntimeError(f"{module} ended with {process.returncode}: {output.decode()}")

    # ------------------------------------------------------------------ waiting

    async def working(self) -> None:
        """Wait until every partition is applied: each owner sends ticks.

        Raises:
            TimeoutError: a partition stays without an owner.
        """
        deadline = time.monotonic() + 60
        while len({partition for partition, _ in self.applications()}) < self.settings.kafka.partitions:
            if time.monotonic() > deadline:
                raise TimeoutError("not every partition has an owner that applies its ticks")
            await asyncio.sleep(0.2)

    async def settle(self) -> bool:
        """Wait until everything sent is applied and every window is closed; False when that takes too long."""
        ends = await asyncio.to_thread(end_offsets, self.servers, EVENTS_RAW)
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(1)
            if await asyncio.to_thread(self._is_settled, ends):
                await asyncio.sleep(2)
                return True
        return False

    def _is_settled(self, ends: dict[int, int]) -> bool:
        rows: dict[tuple[int, bytes], bytes] = {}
        for record in read_log(self.servers, camera_state_changelog(self.settings)):
            if record.key is None or record.value is None:
                continue
            place = (record.partition, record.key)
            if place not in rows or offset_of(record.value) > offset_of(rows[place]):
                rows[place] = record.value
        applied = {}
        for (partition, key), row in rows.items():
            if key.startswith(PARTITION_KEY_PREFIX):
                applied[partition] = decode_partition_row(row).applied
            elif decode_camera_row(row).windows:
                return False
        return all(applied.get(partition, -1) + 1 >= end for partition, end in ends.items())

    # ------------------------------------------------------------------ judging

    def applications(self) -> list[tuple[int, float]]:
        """Partition and time of every run that was applied, by whomever."""
        found = []
        for path in self.logs.glob("*.applied"):
            for line in path.read_text(encoding="ascii").splitlines():
                _, partition, _, _, at_seconds = line.split()
                found.append((int(partition), float(at_seconds)))
        return found

    def pauses(self, began: float, ended: float) -> list[tuple[float, float]]:
        """Begin and length of every pause of a partition between two moments."""
        times: dict[int, list[float]] = {p: [began, ended] for p in range(self.settings.kafka.partitions)}
        for partition, at_seconds in self.applications():
            if began < at_seconds < ended:
                times[partition].append(at_seconds)
        found = []
        for moments in times.values():
            moments.sort()
            found += [(a, b - a) for a, b in pairwise(moments) if b - a > GAP_SECONDS]
        return found

    def takeovers(self, pauses: list[tuple[float, float]]) -> dict[str, list[float]]:
        """The longest time from each disturbance until its partitions went on, by kind; without a pause it is 0.

        When further workers are hurt during a pause, all of it counts for the first of them.
        """
        longest: dict[Disturbance, float] = dict.fromkeys(self.disturbances, 0.0)
        for began, length in pauses:
            ended = began + length
            hurts = [
                one for one in self.disturbances if one.kind in HURTS and began - GAP_SECONDS <= one.at_seconds < ended
            ]
            before = [one for one in self.disturbances if one.at_seconds <= began + GAP_SECONDS]
            if hurts:
                cause = min(hurts, key=lambda one: one.at_seconds)
                longest[cause] = max(longest[cause], ended - max(began, cause.at_seconds))
            elif before:
                cause = min(before, key=lambda one: abs(one.at_seconds - began))
                longest[cause] = max(longest[cause], length)
        kinds: dict[str, list[float]] = defaultdict(list)
        for one, seconds in longest.items():
            kinds[one.kind].append(round(seconds, 2))
        return dict(kinds)

    def compare(self, result: RunResult) -> None:
        """Compare ``traffic.metrics`` with the truth that follows from ``traffic.events.raw``."""
        rules = Rules.from_settings(self.settings)
        truth = truth_of(read_log(self.servers, EVENTS_RAW), rules)
        repeats = Comparison("records on traffic.metrics, repeats identical")
        found = read_topic(read_log(self.servers, METRICS), repeats)
        rows = compare_rows("topic traffic.metrics", truth.rows, found, rules)
        result.comparisons = [rows, repeats]
        result.events = truth.total
        result.rows = rows.compared
        result.different = rows.different + rows.missing + rows.extra + repeats.different
        result.repeats = repeats.compared - len(found)


async def run_once(mode: Mode, seed: int, seconds: float, rate: int, logs: Path) -> RunResult:
    """Make one run; everything of it but the logs is removed at the end."""
    began = time.monotonic()
    result = RunResult(mode, seed)
    await asyncio.to_thread(_empty, logs)
    with ExitStack() as held:
        folder = data_dir.prepare(
            Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rebalance-", ignore_cleanup_errors=True)))
        )
        held.enter_context(data_dir.locked(folder))
        output = held.enter_context(LogOutput(logs, frozenset(["kafka", *FIRST_WORKERS, JOINING_WORKER])))
        with DownloadBar(output.console) as bar:
            specs, endpoints = embedded.plan(folder, _ELSEWHERE, bar.announce, unprotected=True)
        settings = load_settings(app_id=_APP_ID, kafka={"bootstrap_servers": endpoints.kafka_bootstrap_servers})
        supervisor = Supervisor([specs], output.line)
        run = Run(mode, seed, seconds, rate, logs, settings, supervisor)
        exits: Counter[str] = Counter()
        try:
            async with supervisor.events() as events:
                await supervisor.start_all()
                await create_topics(settings, declared_topics(settings))
                supervisor.add_group([_worker(name, run, folder) for name in (*FIRST_WORKERS, JOINING_WORKER)])
                for name in FIRST_WORKERS:
                    await supervisor.start(name)
                await run.working()
                load_began = time.monotonic()
                await run.load()
                load_ended = time.monotonic()
                result.settled = await run.settle()
                while not events.empty():
                    event = events.get_nowait()
                    if event.kind is EventKind.EXITED:
                        exits[str(event.exit_code)] += 1
                await asyncio.to_thread(run.compare, result)
        finally:
            await supervisor.stop_all()
        pauses = run.pauses(load_began, load_ended)
        result.longest_pause_seconds = round(max((length for _, length in pauses), default=0.0), 2)
        result.takeovers = run.takeovers(pauses)
        (logs / "disturbances.txt").write_text(
            "".join(f"{one.at_seconds - load_began:7.2f} {one.kind} {one.worker}\n" for one in run.disturbances)
            + "".join(f"{at - load_began:7.2f} pause of {length:.2f} s\n" for at, length in sorted(pauses)),
            encoding="ascii",
        )
    result.exits = dict(exits)
    result.seconds = round(time.monotonic() - began, 1)
    return result


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()


def _worker(name: str, run: Run, folder: Path) -> ProcessSpec:
    own = folder / "workers" / name
    own.mkdir(parents=True)
    return ProcessSpec(
        name=name,
        command=[sys.executable, "-m", "tests.verification.rebalance_worker"],
        env={
            "KAFKA_BOOTSTRAP_SERVERS": run.servers,
            "TRAFFICAPP_APP_ID": _APP_ID,
            "TRAFFICAPP_DATA_DIR": str(own),
            "TRAFFICAPP_WORKER__ROLE": "streams",
            "REBALANCE_LOG": str(run.logs / f"{name}.applied"),
            "REBALANCE_MODE": run.mode,
            "PYTHONUNBUFFERED": "1",
        },
        restart=Restart(first_seconds=0.5, longest_seconds=2.0, attempts=None),
        stop_timeout_seconds=20,
    )
