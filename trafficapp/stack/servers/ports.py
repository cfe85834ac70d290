"""Choose the TCP ports that the embedded servers listen on."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
from collections.abc import Collection
from pathlib import Path

from trafficapp.stack import children
from trafficapp.stack.servers.data_dir import user_cache_dir

LOOPBACK = "127.0.0.1"
FIRST_OF_USERS, LAST_PORT = 1024, 65535
PORTS_TRIED = 300
FILE_NAME = "ports.json"

#: Descriptors of locks on ports that this process has chosen; the kernel lets go of them however the process ends.
_reserved: dict[int, int] = {}


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether a server could listen on `port` now.

    A server that listens on every address also blocks the port, although a plain `bind` to the loopback address
    may succeed beside it on some systems; a connection attempt tells.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)
        if probe.connect_ex((host, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # The servers set it too: a port in TIME_WAIT after a restart is free for them.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose(preferred: int, taken: Collection[int] = (), host: str = LOOPBACK) -> int:
    """Return `preferred` when it is free, else some free port; never one of `taken`.

    A preferred port is no other process's that chooses here, although its server may not listen yet. In its place
    comes one of the next higher ones: those that the system deals out to clients would be taken at the next start.
    """
    if preferred not in taken and is_free(preferred, host) and _reserve(preferred):
        return preferred
    if preferred >= FIRST_OF_USERS:
        for following in range(preferred + 1, min(preferred + PORTS_TRIED, LAST_PORT) + 1):
            if following not in taken and is_free(following, host) and _reserve(following):
                return following
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


class RememberedPorts:
    """Ports of named processes, kept in a data folder so that they are the same at its next start.

    Args:
        folder: the data folder, which the caller has locked.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._kept = self._read()
        self._changed: dict[str, int | None] = {}
        self._chosen: set[int] = set()
        self._taken: list[str] = []

    @property
    def taken(self) -> list[str]:
        """For a person: which ports are taken, and what is used in their place."""
        return list(self._taken)

    def get(self, name: str) -> int | None:
        """The number that was kept under a name."""
        return self._kept.get(name)

    def keep(self, name: str, number: int) -> None:
        """Keep a number under a name from now on."""
        self._kept[name] = self._changed[name] = number
        self._write()

    def forget(self, names: Collection[str]) -> None:
        """Keep nothing any more under these names."""
        for name in names:
            self._kept.pop(name, None)
            self._changed[name] = None

    def choose(self, name: str, preferred: int) -> int:
        """The port that a process had before, else the preferred one, else a free one; it is kept.

        What an earlier run of ours left behind on the port is ended: it is what `ProcessSpec.pid_file` tells of.
        """
        wanted = self._kept.get(name, preferred)
        if wanted not in self._chosen and not is_free(wanted):
            children.end_orphan(self._folder / "run" / f"{name}.pid", signal.SIGTERM)
        port = choose(wanted, self._chosen)
        self._chosen.add(port)
        # one that another of our own has is not taken: they count up
        if port != wanted and wanted not in self._chosen:
            self._taken.append(f"port {wanted} is taken, {name} is on {port}")
        self.keep(name, port)
        return port

    def _read(self) -> dict[str, int]:
        """What is kept; nothing when that cannot be read."""
        try:
            found = json.loads(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: port for name, port in found.items() if type(port) is int and FIRST_OF_USERS <= port <= LAST_PORT}

    def _write(self) -> None:
        """Write what is ours: workers may use the servers of another process on the folder, which keeps those'.

        A disk that is full costs the memory, not the start.
        """
        kept = {name: number for name, number in (self._read() | self._changed).items() if number is not None}
        with contextlib.suppress(OSError):
            incoming = self._path.with_suffix(".incoming")
            incoming.write_text(json.dumps(kept, indent=1) + "\n", encoding="ascii")
            incoming.replace(self._path)


def _reserve(port: int) -> bool:
    """Keep a port for this process; False when another process of this user has it."""
    if port in _reserved:
        return True
    folder = user_cache_dir() / "ports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / f"{port}.lock", os.O_WRONLY | os.O_CREAT, 0o644)
    except OSError:
        # two that start at the same moment may meet then, and the later one says that the port is taken
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    _reserved[port] = lock
    return True
