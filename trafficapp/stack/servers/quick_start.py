"""What lets Kafka start in half of the time: classes as the JVM had them loaded and linked when it ran before.

The JVM keeps them in a file (an AOT cache, JEP 483, 514 and 515; since Java 24). It is made once, from the first
moments of a broker on a folder of its own, and belongs to one Java and one class path: another one has another name,
and what does not fit is left aside by the JVM itself. Without the file Kafka starts as ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trafficapp.stack.errors import StackError
from trafficapp.stack.process_spec import ProcessSpec
from trafficapp.stack.supervisor import Supervisor

_FIRST_JAVA = 25
_SILENTLY = ("-Xlog:aot=off", "-Xlog:cds=off")
#: The JVM writes the file when it ends: 15 s on two cores, several times that beside other work.
_WRITING_SECONDS = 300
#: Of 70 MB each.
_KEPT_OTHERS = 3


def options(cache: Path) -> list[str]:
    """Arguments of a JVM that is to use the file; it says nothing of one that does not fit."""
    return [f"-XX:AOTCache={cache}", *_SILENTLY]


def cache_path(java: Path, class_path: str, folder: Path) -> Path | None:
    """Where the file of this Java and this class path lies; None where this Java keeps none.

    Args:
        java: the program; `release` of its home says which one it is.
        class_path: as it is given to Java.
        folder: where such files are kept.
    """
    try:
        release = (java.resolve().parents[1] / "release").read_text(encoding="utf-8")
    except OSError:
        return None
    version = re.search(r'^JAVA_VERSION="(\d+)', release, re.MULTILINE)
    if version is None or int(version.group(1)) < _FIRST_JAVA:
        return None
    name = hashlib.sha256(f"{release}\n{java}\n{class_path}".encode()).hexdigest()[:16]
    return folder / f"classes-{name}.aot"


async def make(spec_on: Callable[[Path], ProcessSpec], cache: Path, line: Callable[[str, str], None]) -> None:
    """Make the file.

    Args:
        spec_on: describes a broker on a data folder that is prepared.
        cache: where the file is to be; replaced as a whole.
        line: told what the broker writes, see `supervisor.LogLine`.

    Raises:
        StackError: the broker does not start, or no file came of it.
    """
    from trafficapp.stack.servers import data_dir

    with tempfile.TemporaryDirectory(prefix="trafficapp-kafka-") as name:
        folder = data_dir.prepare(Path(name))
        spec = spec_on(folder)
        made = folder / "kafka" / cache.name
        supervisor = Supervisor([[recording(spec, made)]], line)
        try:
            await supervisor.start_all()
        finally:
            await supervisor.stop_all()
        if not made.exists():
            raise StackError(f"Java wrote no {cache.name}; Kafka starts without it, which takes longer.")
        await asyncio.to_thread(_put, made, cache)


def recording(spec: ProcessSpec, cache: Path) -> ProcessSpec:
    """The same broker, which writes the file when it is told to stop."""
    java, *arguments = (one for one in spec.command if not one.startswith(("-XX:AOTCache=", "-Xlog:")))
    return replace(
        spec,
        command=[java, f"-XX:AOTCacheOutput={cache}", *_SILENTLY, *arguments],
        stop_timeout_seconds=_WRITING_SECONDS,
        restart=None,
    )


def forget_others(cache: Path) -> None:
    """Remove the files of other versions of Java, of the same folder, but for the newest few.

    Each environment of Python has a Java of its own, and with it a file: two of one person would remove each other's.
    """
    others = [other for other in cache.parent.glob("classes-*.aot*") if other != cache]
    with contextlib.suppress(OSError):
        others.sort(key=lambda other: other.stat().st_mtime, reverse=True)
        for other in others[_KEPT_OTHERS:]:
            other.unlink()


def _put(made: Path, cache: Path) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache.parent, prefix=f".{cache.name}.", delete=False) as kept:
        with made.open("rb") as content:
            shutil.copyfileobj(content, kept)
        os.chmod(kept.name, 0o644)
        os.replace(kept.name, cache)
