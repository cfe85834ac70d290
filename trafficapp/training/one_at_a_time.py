"""One training at a time in a registry of models, whoever started it and on whichever machine that has the folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".training"


class TrainingBusyError(Exception):
    """Another training is at work; the message says where."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back whatever becomes of us.

    Raises:
        TrainingBusyError: somebody else holds it.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingBusyError(f"another training is at work in {folder}") from None
        yield
