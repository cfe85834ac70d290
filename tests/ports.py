"""Ports for what tests start: nobody else is given them, neither before it listens nor between two starts.

They lie below those that systems deal out to clients, since any connection would take such a one for a while, and each
process of the tests has a block of its own, whoever else runs tests on this machine.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from trafficapp.stack.servers.ports import is_free

_FIRST, _LAST, _BLOCK = 10_000, 30_000, 500
#: Held until the process ends, however it does.
_locks: list[int] = []


def free_port(room: int = 1) -> int:
    """Give a port that is free, as are those that follow it.

    Args:
        room: how many in a row must be free.
    """
    numbers = _own_ports()
    for port in itertools.islice(numbers, _BLOCK):
        if port % _BLOCK + room <= _BLOCK and all(map(is_free, range(port, port + room))):
            # the others of the row are given to nobody else, either
            for _ in range(room - 1):
                next(numbers)
            return port
    raise RuntimeError(f"no {room} ports in a row are free in the block of this process")


@cache
def _own_ports() -> Iterator[int]:
    folder = Path(tempfile.gettempdir()) / "trafficapp-tests-ports"
    folder.mkdir(exist_ok=True)
    for first in range(_FIRST, _LAST, _BLOCK):
        lock = os.open(folder / f"{first}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        _locks.append(lock)
        return itertools.cycle(range(first, first + _BLOCK))
    raise RuntimeError(f"other processes have all ports from {_FIRST} to {_LAST}")
