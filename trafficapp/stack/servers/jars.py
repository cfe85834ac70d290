"""Fetch the jars that run Apache Kafka: named and sha256-checked in `kafka-jars.lock`, kept in the user's cache."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from trafficapp.stack.errors import StackError

DOWNLOAD_THREADS = 8
DOWNLOAD_TIMEOUT_SECONDS = 20
DOWNLOAD_ATTEMPTS = 3
RETRY_AFTER_SECONDS = 1.0
ABANDONED_AFTER_SECONDS = 3600

Progress = Callable[[int], None]
"""Called with the number of bytes of each jar that has arrived and was verified."""

Download = Callable[["Jar", Path], Path]
"""Fetches one jar into a scratch folder and returns the file."""


@dataclass(frozen=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    size_bytes: int
    sha256: str

    @property
    def file_name(self) -> str:
        """Return the name that Maven gives the file."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Return `group:artifact:version`."""
        return f"{self.group}:{self.artifact}:{self.version}"


def parse_lock(text: str) -> list[Jar]:
    """Read lines `group:artifact:version size=BYTES sha256=HEX`; `#` starts a comment line.

    Raises:
        ValueError: A line has another form.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            coordinate, size, digest = line.split()
            group, artifact, version = coordinate.split(":")
            if len(digest.removeprefix("sha256=")) != 64:
                raise ValueError("not a sha256")
            jars.append(Jar(group, artifact, version, int(size.removeprefix("size=")), digest.removeprefix("sha256=")))
        except ValueError as problem:
            raise ValueError(f"line {number} of the jar lock is not understood: {line!r}") from problem
    return jars


def locked_jars() -> list[Jar]:
    """Return the jars of the lock file that ships with the package."""
    return parse_lock(files("trafficapp.stack").joinpath("kafka-jars.lock").read_text(encoding="utf-8"))


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing(jars: Sequence[Jar], folder: Path) -> list[Jar]:
    """Return the jars that are not in `folder` yet.

    Files get there only by `fetch`, whole and verified, so that name and size are enough at a later start.
    """
    return [jar for jar in jars if not _has_size(folder / jar.file_name, jar.size_bytes)]


def fetch(jars: Sequence[Jar], folder: Path, progress: Progress, download: Download | None = None) -> None:
    """Bring the jars into `folder`, each verified and then moved there in one step.

    Raises:
        StackError: A jar cannot be fetched (no network), or its bytes are not those of the lock file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    given_up = threading.Event()
    # The scratch folder is beside its target: a move within one file system is atomic.
    scratch = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
    try:
        with ThreadPoolExecutor(DOWNLOAD_THREADS) as pool:
            arrivals = [pool.submit(_fetch_one, jar, folder, scratch, download or _download, given_up) for jar in jars]
            try:
                for arrival in as_completed(arrivals):
                    progress(arrival.result().size_bytes)
            except BaseException:
                given_up.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fetch_one(jar: Jar, folder: Path, scratch: Path, download: Download, given_up: threading.Event) -> Jar:
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        try:
            path = download(jar, scratch / f"{jar.artifact}-{attempt}")
            break
        except Exception as problem:
            if attempt == DOWNLOAD_ATTEMPTS or given_up.is_set():
                raise StackError(
                    f"{jar.coordinate} could not be fetched ({_first_line(problem)}). The first start needs the "
                    "network to fetch Apache Kafka (45 MB); later starts do not. Or set KAFKA_BOOTSTRAP_SERVERS to a "
                    "broker you have."
                ) from problem
            given_up.wait(attempt * RETRY_AFTER_SECONDS)
    found = sha256_of(path)
    if found != jar.sha256:
        raise StackError(
            f"{jar.coordinate} arrived with sha256 {found}, the lock file says {jar.sha256}; it was not used."
        )
    os.replace(path, folder / jar.file_name)
    return jar


def _download(jar: Jar, scratch: Path) -> Path:
    """Fetch one jar with jgo's Maven client.

    Its own cache is the scratch folder, so that nothing already lying in the user's Maven folder is trusted.
    """
    from jgo.maven import MavenContext

    # It warns of sums that differ and goes on; the check that counts is ours.
    logging.getLogger("jgo").setLevel(logging.ERROR)
    context = MavenContext(repo_cache=scratch, timeout=DOWNLOAD_TIMEOUT_SECONDS)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact().resolve())


def _remove_abandoned(folder: Path) -> None:
    """Remove scratch folders of runs that were killed; a fetch that still runs is younger."""
    for scratch in folder.glob(".incoming-*"):
        if scratch.stat().st_mtime < time.time() - ABANDONED_AFTER_SECONDS:
            shutil.rmtree(scratch, ignore_errors=True)


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def _first_line(problem: Exception) -> str:
    text = str(problem).strip() or type(problem).__name__
    return text.splitlines()[0][:200]
