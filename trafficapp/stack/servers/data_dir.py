"""The one folder that holds everything the embedded servers write, and the lock that keeps two stacks apart."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trafficapp.stack.errors import StackError

SERVERS_LOCK = "stack.lock"
WORKERS_LOCK = "workers.lock"


def user_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/trafficapp`, or `~/.cache/trafficapp`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trafficapp"


def default_data_dir() -> Path:
    """Return the folder used when none is named."""
    return user_cache_dir() / "stack"


def prepare(path: Path) -> Path:
    """Create the folder when needed and return its absolute path.

    Raises:
        StackError: The folder cannot be made or written.
    """
    path = path.expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise StackError(
            f"The data folder {path} cannot be written ({problem.strerror}); choose another with --data-dir."
        ) from problem
    return path


@contextmanager
def locked(path: Path, lock_name: str = SERVERS_LOCK) -> Iterator[None]:
    """Hold a part of the data folder for this process; the kernel lets go of it however the process ends.

    Args:
        path: The data folder.
        lock_name: `SERVERS_LOCK` for what the servers write, `WORKERS_LOCK` for the workers' folders: workers of
            `trafficapp up` may use the servers of a `trafficapp stack` on the same folder.

    Raises:
        StackError: Another process holds it.
    """
    with (path / lock_name).open("a+", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise StackError(
                f"The data folder {path} is in use by process {holder}; stop that first, or choose another --data-dir."
            ) from problem
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def clear(path: Path) -> None:
    """Remove what servers and workers left in a data folder; call it while holding the servers' lock.

    Raises:
        StackError: Workers run on the folder, it holds files that are not a stack's, or something stays.
    """
    entries = [entry for entry in path.iterdir() if entry.name not in (SERVERS_LOCK, WORKERS_LOCK)]
    strangers = sorted(entry.name for entry in entries if entry.name not in KNOWN_ENTRIES)
    if strangers:
        raise StackError(
            f"{path} holds {', '.join(strangers[:5])}, which no stack wrote; nothing was removed. "
            "Remove the folder by hand if it really is a stack's."
        )
    with locked(path, WORKERS_LOCK):
        for entry in entries:
            try:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
            except OSError as problem:
                raise StackError(f"{entry} cannot be removed ({problem.strerror}).") from problem


KNOWN_ENTRIES = frozenset(
    {
        *("kafka", "kafka.properties", "redis", "workers", "logs", "run", "ports.json", "ports.incoming"),
        *("postgres", "postgres.password", "postgres-incoming", "postgres-incoming.password"),
        *("admin.key", "admin.incoming"),
    }
)
"""Names that `clear` may remove: a wrong `--data-dir` with `--reset` must not delete somebody's files."""
