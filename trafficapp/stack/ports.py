"""Choose the TCP ports that the embedded servers listen on."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Collection
from typing import IO

from trafficapp.stack.data_dir import user_cache_dir

LOOPBACK = "127.0.0.1"

#: Locks on ports that this process has chosen; the kernel lets go of them however the process ends.
_reserved: dict[int, IO[bytes]] = {}


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

    A preferred port is no other process's that chooses here, although its server may not listen yet.
    """
    if preferred not in taken and is_free(preferred, host) and _reserve(preferred):
        return preferred
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def _reserve(port: int) -> bool:
    """Keep a port for this process; False when another process of this user has it."""
    if port in _reserved:
        return True
    folder = user_cache_dir() / "ports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{port}.lock").open("wb")
    except OSError:
        # two that start at the same moment may meet then, and the later one says that the port is taken
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return False
    _reserved[port] = lock
    return True
