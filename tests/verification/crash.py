"""Replay while processes are killed; every row must be right: ``python -m tests.verification.crash --seed N``.

The windows worker is killed with SIGKILL five times, Kafka, Postgres and Redis once each, at moments chosen
by the seed. The supervisor starts again what ended; the replay goes on by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.verification.deployment import Deployment, deployed, until
from tests.verification.exact import compare_with, recorded_truth, recording_path
from tests.verification.log import end_offsets
from trafficapp.sources.recordings import open_recording
from trafficapp.topics import METRICS

WORKER = "worker-1"
WORKER_KILLS = 5
SERVERS = ("kafka", "postgres", "redis")
_RECOVERY_SECONDS = 120.0


@dataclass
class Kill:
    """A kill that was made: when, and how long until the process and the windows were back (None: never)."""

    at_seconds: float
    name: str
    ready_seconds: float | None = None
    windows_seconds: float | None = None

    def __str__(self) -> str:
        ready, windows = map(_seconds, (self.ready_seconds, self.windows_seconds))
        return f"  {self.at_seconds:6.1f} s  {self.name:9} ready after {ready}, new windows after {windows}"


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:5.1f} s"


def plan(seed: int, run_seconds: float) -> list[tuple[float, str]]:
    """Choose the moments, all while the replay runs."""
    chance = random.Random(seed)
    names = [WORKER] * WORKER_KILLS + list(SERVERS)
    return sorted((chance.uniform(0.05, 0.90) * run_seconds, name) for name in names)


async def kill_by(plan_: list[tuple[float, str]], deployment: Deployment) -> list[Kill]:
    """Carry a plan out and watch the recoveries; return when all have recovered."""
    began = time.monotonic()
    watched: list[asyncio.Task[Kill]] = []
    for at_seconds, name in plan_:
        await asyncio.sleep(max(began + at_seconds - time.monotonic(), 0))
        # killed a moment ago and not born again: wait for it
        await until(lambda name=name: deployment.supervisor.pid(name) is not None, _RECOVERY_SECONDS, 0.05)  # type: ignore[misc]
        kill = Kill(time.monotonic() - began, name)
        await deployment.supervisor.kill(name)
        print(f"  {kill.at_seconds:6.1f} s  {name} killed", flush=True)
        watched.append(asyncio.create_task(_watch(kill, deployment)))
    return list(await asyncio.gather(*watched))


async def _watch(kill: Kill, deployment: Deployment) -> Kill:
    supervisor, bootstrap_servers = deployment.supervisor, deployment.bootstrap_servers
    killed = time.monotonic()

    def rows() -> int:
        return sum(end_offsets(bootstrap_servers, METRICS).values())

    async def ready() -> None:
        # the end of the old process is noticed a moment after the signal
        await asyncio.sleep(0.1)
        if await until(lambda: supervisor.is_ready(kill.name), _RECOVERY_SECONDS, 0.05) is not None:
            kill.ready_seconds = time.monotonic() - killed

    async def windows() -> None:
        before = 0

        def counted() -> bool:
            nonlocal before
            before = rows()
            return True

        await until(counted, _RECOVERY_SECONDS)
        if await until(lambda: rows() > before, _RECOVERY_SECONDS) is not None:
            kill.windows_seconds = time.monotonic() - killed

    await asyncio.gather(ready(), windows())
    return kill


async def run(recording: Path, seed: int, speed: float) -> bool:
    """Make the check; True when every row is right."""
    opened = open_recording(recording)
    run_seconds = (opened.last_us - opened.first_us) / 1e6 / speed
    kills = plan(seed, run_seconds)
    print(f"seed {seed}, {recording.name}, speed {speed:g}: {run_seconds:.0f} s", flush=True)
    with ProcessPoolExecutor(1) as oracle:
        truth_task = asyncio.get_running_loop().run_in_executor(oracle, recorded_truth, recording)
        truth = await truth_task  # beforehand: two cores have enough to do while processes start again
        async with deployed(1, own_servers=True) as deployment:
            started = time.monotonic()
            replay = asyncio.create_task(deployment.replay([str(recording), "--speed", f"{speed:g}"]))
            made = await kill_by(kills, deployment)
            await replay
            progress = await deployment.settle(len(truth.rows))
            print(f"seed {seed}: {len(made)} kills in {time.monotonic() - started:.1f} s; {progress}")
            print("\n".join(map(str, made)))
            return await asyncio.to_thread(compare_with, truth, deployment, recording)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--speed", type=float, help="times the recorded speed; the run lasts 90 s unless told")
    parser.add_argument("--recording", type=Path, default=recording_path())
    arguments = parser.parse_args()
    opened = open_recording(arguments.recording)
    speed = arguments.speed or round((opened.last_us - opened.first_us) / 1e6 / 90, 1)
    equal = asyncio.run(run(arguments.recording, arguments.seed, speed))
    print(f"seed {arguments.seed}: " + ("exact" if equal else "NOT exact"), flush=True)
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
