"""Passwords and keys of a data folder: made at the first call, readable by their owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

POSTGRES = "postgres.password"
POSTGRES_WORK = "postgres-work.password"
REDIS = "redis.password"
KAFKA = "kafka.password"
KAFKA_BROKER = "kafka-broker.password"
CONTROL_KEY = "control.key"
FILE_NAMES = (POSTGRES, POSTGRES_WORK, REDIS, KAFKA, KAFKA_BROKER, CONTROL_KEY)


def kept(data_dir: Path, name: str) -> str:
    """Return the secret of that name, letters, digits, `-` and `_`; a new one has 256 bits."""
    path = data_dir / name
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text(encoding="ascii").strip()


def write_private(path: Path, text: str, owner: tuple[int, int] | None = None) -> None:
    """Write a file that its owner alone may read; what was there is replaced at once, or not at all.

    Args:
        path: the file.
        text: what it is to hold.
        owner: uid and gid, when it is not to be ours.
    """
    incoming = path.with_name(f"{path.name}.incoming")
    incoming.unlink(missing_ok=True)
    descriptor = os.open(incoming, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        if owner is not None:
            os.fchown(descriptor, *owner)
        file.write(text)
    incoming.replace(path)
