"""Embedded servers with our topics and tables, for one measurement."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import get_args

from trafficapp.settings import Role
from trafficapp.stack import workers
from trafficapp.stack.console import DownloadBar, LogOutput
from trafficapp.stack.servers import data_dir, embedded
from trafficapp.stack.servers.endpoints import Endpoints
from trafficapp.stack.supervisor import Supervisor

_QUIET = frozenset(("kafka", "postgres", "redis", "worker-1", *get_args(Role)))


@asynccontextmanager
async def running(folder: Path, *, unprotected: bool = True) -> AsyncIterator[tuple[Supervisor, dict[str, str]]]:
    """Servers on a folder that was prepared, and the variables that name them; all is stopped at the end.

    Args:
        folder: where they keep everything.
        unprotected: whether Kafka asks nobody who he is; peers know nothing of passwords.
    """
    with ExitStack() as stack:
        output = stack.enter_context(LogOutput(folder / "logs", quiet=_QUIET))
        stack.enter_context(data_dir.locked(folder))
        with DownloadBar(output.console) as bar:
            specs, endpoints = embedded.plan(folder, Endpoints(), bar.announce, unprotected=unprotected)
        supervisor = Supervisor([specs], output.line)
        try:
            await supervisor.start_all()
            environment = endpoints.environment()
            await workers.run_to_end("migrate", ["migrate"], environment, lambda *_: None)
            await workers.run_to_end("topics", ["topics", "create"], environment, lambda *_: None)
            yield supervisor, environment
        finally:
            await supervisor.stop_all()
