"""Programs beside a worker end with it, whatever they say and however it ends."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trafficapp.upkeep.processes import ProgramFailed, run_program

#: Runs a program that tells its number and goes on for long.
WORKER = """
import asyncio, sys
from trafficapp.upkeep.processes import run_program
asyncio.run(run_program(["sh", "-c", "echo $$ > $0; exec sleep 600", sys.argv[1]]))
"""


def told(path: Path) -> psutil.Process:
    """The process whose number is written there, as soon as it is."""
    while not (path.exists() and path.read_text().endswith("\n")):
        time.sleep(0.05)
    return psutil.Process(int(path.read_text()))


async def test_a_program_dies_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path / "pid")])  # noqa: ASYNC220, S603
    program = await asyncio.wait_for(asyncio.to_thread(told, tmp_path / "pid"), 60)
    assert program.ppid() == worker.pid
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    psutil.wait_procs([program], timeout=60)
    assert not program.is_running() or program.status() == psutil.STATUS_ZOMBIE


async def test_a_program_that_closed_its_output_is_stopped_too(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$ > $0; exec sleep 600 >&- 2>&-", str(tmp_path / "pid")]
    running = asyncio.create_task(run_program(command))
    program = await asyncio.wait_for(asyncio.to_thread(told, tmp_path / "pid"), 60)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not program.is_running()


async def test_a_line_without_an_end_is_cut() -> None:
    endless = "import sys; sys.stdout.write('x' * 300_000); sys.stdout.write('\\rhalf\\r\\n'); sys.stdout.write('end')"
    assert await run_program([sys.executable, "-c", endless]) == "end"
    with pytest.raises(ProgramFailed, match=r"^x{2000} / half / end$"):
        await run_program([sys.executable, "-c", f"{endless}; sys.exit(1)"])


async def test_some_exit_codes_are_outcomes() -> None:
    command = ["sh", "-c", "echo not better; exit 3"]
    assert await run_program(command, done=(0, 3)) == "not better"
    with pytest.raises(ProgramFailed, match="not better"):
        await run_program(command)
