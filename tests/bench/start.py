"""What a start costs, beside another build: ``python -m tests.bench.start``.

CPU time of commands (the least of several runs, of both builds by turns, since other work on the machine only ever
adds to it), memory of a worker of each role soon after it serves, and the time to the first window when the demo is
started for the second time on its data folder. Into ``build/start.json`` as rows ``{name, value, unit, before}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import psutil

from tests.bench.before import ROOT, build_of
from tests.bench.servers import running
from trafficapp.settings import Role
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir

RESULT = Path("build") / "start.json"
FAUST = ("-m", "faust", "-A", "trafficapp")
TRAFFICAPP = ("-m", "trafficapp.cli")
#: None of them asks a server.
COMMANDS: dict[str, tuple[str, ...]] = {
    "faust models": (*FAUST, "models"),
    "faust --help": (*FAUST, "--help"),
    "faust agents": (*FAUST, "agents"),
    "trafficapp --help": (*TRAFFICAPP, "--help"),
    "trafficapp models": (*TRAFFICAPP, "models"),
    "trafficapp settings": (*TRAFFICAPP, "settings"),
    "trafficapp simulate --help": (*TRAFFICAPP, "simulate", "--help"),
}
#: Roles that the embedded servers are enough for.
ROLES: tuple[str, ...] = tuple(role for role in get_args(Role) if role not in {"clickhouse", "lake"})
_FIRST_PORT = 6800
_SETTLE_SECONDS = 5.0
_DEMO_SECONDS = 300.0
_FIRST_WINDOW = re.compile(r"([0-9.]+) s: the first window is there")

Builds = dict[str, Path]
Rows = list[dict[str, Any]]


def cpu_seconds(arguments: tuple[str, ...], tree: Path) -> float:
    """CPU time of one run of Python, with the modules of a build."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=tree, check=True, capture_output=True)  # noqa: S603 - ours
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime


def row(name: str, unit: str, values: dict[str, float]) -> dict[str, Any]:
    """A row of the result; what only this build has been asked for is before none."""
    made = {"name": name, "value": round(values["value"], 3), "unit": unit}
    if "before" in values:
        made["before"] = round(values["before"], 3)
    print(made, flush=True)
    return made


def commands(builds: Builds, runs: int) -> Rows:
    """The least CPU time of each command."""
    rows = []
    for name, arguments in COMMANDS.items():
        found: dict[str, list[float]] = {build: [] for build in builds}
        for _ in range(runs):
            for build, tree in builds.items():
                found[build].append(cpu_seconds(arguments, tree))
        rows.append(row(name, "CPU s", {build: min(seconds) for build, seconds in found.items()}))
    return rows


def memory(builds: Builds, roles: list[str], variables: dict[str, str]) -> Rows:
    """Memory of a worker of each role, one after the other: resident, and what it shares with nobody."""
    with tempfile.TemporaryDirectory(prefix="trafficapp-bench-start-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        return asyncio.run(_memory(data_dir.prepare(Path(path)), builds, roles, variables))


async def _memory(folder: Path, builds: Builds, roles: list[str], variables: dict[str, str]) -> Rows:
    rows = []
    async with running(folder) as (supervisor, environment):
        for number, role in enumerate(roles):
            found: dict[str, dict[str, float]] = {"resident": {}, "unshared": {}}
            for place, (build, tree) in enumerate(builds.items()):
                worker = workers.Worker(f"{role}-{build}", role, _FIRST_PORT + 2 * number + place)
                spec = workers.worker_spec(worker, folder, environment)
                supervisor.add_group([replace(spec, cwd=tree, env={**spec.env, **variables})])
                await supervisor.start(worker.name)
                await supervisor.wait_ready(worker.name)
                await asyncio.sleep(_SETTLE_SECONDS)
                told = psutil.Process(supervisor.pid(worker.name)).memory_full_info()
                found["resident"][build], found["unshared"][build] = told.rss / 1e6, told.uss / 1e6
                await supervisor.stop(worker.name)
            rows += [row(f"worker {role}, {kind}", "MB", values) for kind, values in found.items()]
    return rows


def seconds_to_first_window(tree: Path, folder: Path) -> float:
    """Start the demo of a build, and stop it once it has told its first window.

    Raises:
        RuntimeError: it told none.
    """
    command = [sys.executable, *TRAFFICAPP, "up", "--data-dir", str(folder)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    said = []
    with subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        assert demo.stdout is not None
        signal.alarm(int(_DEMO_SECONDS))
        try:
            for line in demo.stdout:
                said.append(line)
                if found := _FIRST_WINDOW.search(line):
                    return float(found[1])
        finally:
            signal.alarm(0)
            demo.send_signal(signal.SIGINT)
            demo.wait()
    raise RuntimeError("the demo told no first window:\n" + "".join(said[-20:]))


def demo(builds: Builds, starts: int) -> Rows:
    """Seconds to the first window of the demo's later starts, the least of them; each build has a folder of its own."""
    later = {}
    for build, tree in builds.items():
        with tempfile.TemporaryDirectory(prefix="trafficapp-bench-start-", ignore_cleanup_errors=True) as path:
            Path(path).chmod(0o755)
            took = [seconds_to_first_window(tree, Path(path, "data")) for _ in range(1 + starts)]
            print(f"{build}: {took} s", flush=True)
            later[build] = min(took[1:])
    return [row("demo, second start to the first window", "s", later)]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["commands", "memory", "demo"], help="commands, memory, demo")
    parser.add_argument("--before", help="commit whose build stands beside this one")
    parser.add_argument("--runs", type=int, default=7, help="of each command")
    parser.add_argument("--starts", type=int, default=1, help="of the demo, behind the first one")
    parser.add_argument("--roles", nargs="*", default=list(ROLES))
    parser.add_argument("--variable", nargs="*", default=[], help="NAME=VALUE for workers, to try what it does")
    arguments = parser.parse_args()
    rows = []
    with build_of(arguments.before) if arguments.before else nullcontext() as before:
        builds = {"value": ROOT} | ({"before": before} if before else {})
        if "commands" in arguments.what:
            rows += commands(builds, arguments.runs)
        if "memory" in arguments.what:
            variables = dict(one.split("=", 1) for one in arguments.variable)
            rows += memory(builds, arguments.roles, variables)
        if "demo" in arguments.what:
            rows += demo(builds, arguments.starts)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{RESULT} written")


if __name__ == "__main__":
    main()
