from __future__ import annotations

import asyncio
import functools
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from trafficapp.stack.errors import StackError
from trafficapp.stack.supervisor import EventKind, ProcessSpec, Restart, Supervisor

QUICK = Restart(first_seconds=0.05, longest_seconds=0.2, steady_seconds=60, attempts=3)
IGNORES_TERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(99)"
)


def sleeper(name: str, **changes: object) -> ProcessSpec:
    return ProcessSpec(name, ["sleep", "99"], **{"restart": QUICK, **changes})  # type: ignore[arg-type]


async def exists(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240 - a stat of a local file


async def until(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "condition did not come true"
        await asyncio.sleep(0.01)


async def test_a_group_starts_when_the_one_before_is_ready_and_stops_before_it(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    server = ProcessSpec(
        "server", ["sh", "-c", f"sleep 0.3; touch {flag}; exec sleep 99"], ready=functools.partial(exists, flag)
    )
    supervisor = Supervisor([[server], [sleeper("one"), sleeper("two")]])
    async with supervisor.events() as events:
        await supervisor.start_all()
        await supervisor.stop_all()
        seen = [(event.kind, event.name) for event in (events.get_nowait() for _ in range(events.qsize()))]
    assert seen.index((EventKind.READY, "server")) < seen.index((EventKind.STARTED, "one"))
    assert {name for kind, name in seen[-3:-1]} == {"one", "two"}
    assert seen[-1] == (EventKind.STOPPED, "server")


async def test_a_killed_process_comes_back(tmp_path: Path) -> None:
    supervisor = Supervisor([[sleeper("server")]])
    await supervisor.start_all()
    first = supervisor.pid("server")
    await supervisor.kill("server")
    await until(lambda: supervisor.pid("server") not in (first, None))
    await supervisor.wait_ready("server")
    assert supervisor.restarts("server") == 1
    await supervisor.stop_all()
    assert supervisor.pid("server") is None


async def test_kills_that_were_asked_for_do_not_count_as_failures() -> None:
    supervisor = Supervisor([[sleeper("server", restart=Restart(first_seconds=0.01, attempts=1))]])
    await supervisor.start_all()
    for expected in range(1, 5):
        await supervisor.kill("server")
        await until(lambda expected=expected: supervisor.restarts("server") == expected)
        await supervisor.wait_ready("server")
    assert supervisor.failures() == {}
    await supervisor.stop_all()


async def test_a_process_killed_to_stay_down_waits_for_start() -> None:
    supervisor = Supervisor([[sleeper("server")]])
    await supervisor.start_all()
    await supervisor.kill("server", stay_down=True)
    await asyncio.sleep(0.3)
    assert supervisor.pid("server") is None
    await supervisor.start("server")
    await supervisor.wait_ready("server")
    assert supervisor.pid("server") is not None
    await supervisor.stop_all()


async def test_a_process_that_never_stays_up_is_given_up_with_its_last_words() -> None:
    lines: list[tuple[str, str]] = []
    spec = ProcessSpec("bad", ["sh", "-c", "echo no such disk; exit 3"], ready=functools.partial(exists, Path("/none")))
    spec = ProcessSpec(**{**vars(spec), "restart": QUICK})
    supervisor = Supervisor([[spec]], lambda name, line: lines.append((name, line)))
    with pytest.raises(StackError, match=r"(?s)ended 4 times in a row, last with 3.*bad \| no such disk"):
        await supervisor.start_all()
    assert lines.count(("bad", "no such disk")) == 4
    assert list(supervisor.failures()) == ["bad"]
    await supervisor.stop_all()


async def test_a_command_that_does_not_exist_is_given_up_at_once() -> None:
    supervisor = Supervisor([[ProcessSpec("ghost", ["no-such-program-here"])]])
    with pytest.raises(StackError, match="ghost cannot be started"):
        await supervisor.start_all()
    await supervisor.stop_all()


async def test_what_does_not_become_ready_in_time_is_an_error() -> None:
    spec = sleeper("slow", ready=functools.partial(exists, Path("/none")), ready_timeout_seconds=0.2)
    supervisor = Supervisor([[spec]])
    with pytest.raises(StackError, match="not ready after"):
        await supervisor.start_all()
    await supervisor.stop_all()
    assert supervisor.pid("slow") is None


async def test_a_process_deaf_to_sigterm_is_killed_after_its_time() -> None:
    lines: list[str] = []
    spec = ProcessSpec("deaf", [sys.executable, "-c", IGNORES_TERM], stop_timeout_seconds=0.3)
    supervisor = Supervisor([[spec]], lambda name, line: lines.append(line))
    await supervisor.start_all()
    await until(lambda: "on" in lines)
    pid = supervisor.pid("deaf")
    assert pid is not None
    await supervisor.stop_all()
    assert not psutil.pid_exists(pid)


async def test_stopping_between_two_starts_ends_the_waiting() -> None:
    patient = Restart(first_seconds=60, longest_seconds=60)
    supervisor = Supervisor([[ProcessSpec("short", ["true"], restart=patient)]])
    await supervisor.start("short")
    await until(lambda: "starting again" in "".join(supervisor.tail("short")))
    began = time.monotonic()
    await supervisor.stop_all()
    assert time.monotonic() - began < 5


def test_back_off_doubles_up_to_its_bound() -> None:
    policy = Restart(first_seconds=0.5, longest_seconds=3)
    assert [policy.wait_seconds(n) for n in (1, 2, 3, 4, 99)] == [0.5, 1.0, 2.0, 3.0, 3.0]


async def test_an_orphan_of_a_killed_run_is_ended_before_the_start(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    # The shell ends at once: the sleeper is nobody's child, as after a supervisor's kill -9.
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", "sleep 99 >/dev/null & echo $!", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await shell.communicate()
    orphan = psutil.Process(int(output))
    pid_file.write_text(f'{{"pid": {orphan.pid}, "created": {orphan.create_time()}}}')
    supervisor = Supervisor([[sleeper("server", pid_file=pid_file)]])
    await supervisor.start_all()
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    assert str(supervisor.pid("server")) in pid_file.read_text()
    await supervisor.stop_all()
    assert not pid_file.exists()


async def test_a_stranger_with_the_number_of_a_dead_process_is_left_alone(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    pid_file.write_text(f'{{"pid": {os.getpid()}, "created": 1.0}}')
    supervisor = Supervisor([[sleeper("server", pid_file=pid_file)]])
    await supervisor.start_all()
    await supervisor.stop_all()


PARENT = """
import asyncio, sys
from trafficapp.stack import children
from trafficapp.stack.supervisor import ProcessSpec, Supervisor
children.KERNEL_ENDS_CHILDREN = {kernel}
async def main():
    supervisor = Supervisor([[ProcessSpec("child", ["sh", "-c", "sleep 99"])]])
    await supervisor.start_all()
    print(supervisor.pid("child"), flush=True)
    await asyncio.sleep(99)
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "kernel",
    [pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")), False],
    ids=["kernel", "guardian"],
)
async def test_children_die_with_a_killed_supervisor(kernel: bool) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT.format(kernel=kernel), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    assert child.is_running()
    parent.kill()
    await parent.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
