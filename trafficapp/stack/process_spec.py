"""What a supervised process is: its command, how to tell that it is ready, how it ends and when it starts again."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from trafficapp.stack.servers.identity import Identity


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
