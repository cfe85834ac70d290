"""The one folder that holds everything the embedded servers write, and the lock that keeps two stacks apart."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import identity, kept_secrets

SERVERS_LOCK = "stack.lock"
WORKERS_LOCK = "workers.lock"
#: Export lines of what runs on the folder.
ENV_FILE = "stack.env"


def user_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/trafficapp`, or `~/.cache/trafficapp`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "trafficapp"


def default_data_dir() -> Path:
    """Return the folder used when none is named."""
    return user_cache_dir() / "stack"


def prepare(path: Path) -> Path:
    """Create the folder when needed, close it to all other users, and return its absolute path.

    Started as root, servers that run as users of their own go through it by its group, which nobody else has; they
    cannot list it. What an earlier version left open in it is closed.

    Raises:
        StackError: The folder cannot be made or written, or holds what is not a stack's.
    """
    path = path.expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in path.iterdir()} - NOBODYS
        if names and not names & KNOWN_ENTRIES:
            # it would be closed to those whose files these are
            raise StackError(
                f"{path} holds {', '.join(sorted(names)[:5])}, which no stack wrote; choose a folder of its own with "
                "--data-dir."
            )
        _close(path)
        probe = path / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as problem:
        raise StackError(
            f"The data folder {path} cannot be written ({problem.strerror}); choose another with --data-dir."
        ) from problem
    return path


def _close(path: Path) -> None:
    group = identity.servers_group(path)
    if group is None:
        path.chmod(0o700)
    else:
        os.chown(path, 0, group)
        path.chmod(0o710)
    for entry in path.iterdir():
        if entry.name in KNOWN_ENTRIES and entry.name not in OWN_OF_SERVERS and not entry.is_symlink():
            identity.hand_over(entry, None)


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


def is_locked(path: Path, lock_name: str) -> bool:
    """Say whether a process holds that part of the data folder."""
    try:
        with (path / lock_name).open("r", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


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
        *("postgres", "postgres-incoming", "postgres-incoming.password", "redis.conf", "redis.conf.incoming"),
        *("admin.key", "admin.incoming", "kafka.properties.incoming", ENV_FILE, f"{ENV_FILE}.incoming", "timetable"),
        *(name + rest for name in kept_secrets.FILE_NAMES for rest in ("", ".incoming")),
    }
)
"""Names that `clear` may remove: a wrong `--data-dir` with `--reset` must not delete somebody's files."""

NOBODYS = frozenset({SERVERS_LOCK, WORKERS_LOCK, "lost+found", ".writable"})

OWN_OF_SERVERS = frozenset({"kafka", "kafka.properties", "redis", "redis.conf", "postgres"})
"""What belongs to the user of a server, where it has one; each server closes its own."""
