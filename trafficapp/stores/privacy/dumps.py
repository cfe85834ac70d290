"""A vehicle in dumps of Postgres, which cannot be changed: those that have it can be deleted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from trafficapp.privacy.names import Names
from trafficapp.upkeep.backup import dumps_in, newest_pg_dump


def find(folder: Path, names: Names) -> dict[Path, int]:
    """How many rows of each dump name it; it blocks. Dumps without any are left out.

    Raises:
        OSError: there is no ``pg_restore`` to read them with, or it failed.
    """
    paths = dumps_in(folder)
    if not paths:
        return {}
    program = _pg_restore()
    counts = {path: sum(1 for line in _lines(program, path) if _names_it(line, names)) for path in paths}
    return {path: count for path, count in counts.items() if count}


def erase(folder: Path, names: Names) -> dict[Path, int]:
    """Delete the dumps that have it; the next ones are without it."""
    found = find(folder, names)
    for path in found:
        path.unlink(missing_ok=True)
    return found


def _names_it(line: bytes, names: Names) -> bool:
    return any(names.are(cell) for cell in line.rstrip(b"\n").split(b"\t")) or names.stand_in(line)


def _lines(program: Path, path: Path) -> Iterator[bytes]:
    with subprocess.Popen(  # noqa: S603 - our own program and our own file
        [str(program), "--data-only", "--file=-", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is piped
        yield from process.stdout
    if process.returncode:
        raise OSError(f"pg_restore cannot read {path}")


def _pg_restore() -> Path:
    beside = newest_pg_dump()
    if beside is not None and (path := beside.with_name("pg_restore")).exists():
        return path
    on_path = shutil.which("pg_restore")
    if on_path is None:
        raise FileNotFoundError("there is no pg_restore here to read dumps with")
    return Path(on_path)
