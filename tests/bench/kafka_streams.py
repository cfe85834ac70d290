"""The same windows in Java: the peer programs of a folder, built by Maven, run beside ours where all of it is there.

The folder has ``run.py`` and ``kafka_streams/pom.xml``. It is copied to ``build/peers`` and built there, once.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

#: Where the folder lies unless it is named.
USUAL_FOLDER = ROOT.parent / "shared" / "peers"
_COPY = ROOT / "build" / "peers"
_BUILD_SECONDS = 600


class Missing(Exception):
    """Something that the peer needs is not there; the message says what."""


def prepare(folder: Path) -> Path:
    """Build the peer; returns where it was built.

    Raises:
        Missing: the folder, Java or Maven is not there, or Maven cannot build it.
    """
    if not (folder / "run.py").is_file() or not (folder / "kafka_streams" / "pom.xml").is_file():
        raise Missing(f"{folder} has no run.py and kafka_streams/pom.xml; --peers FOLDER names another one")
    for program, package in (("java", "a JDK of version 17 or later"), ("mvn", "Maven")):
        if shutil.which(program) is None:
            raise Missing(f"{package} is not installed")
    shutil.copytree(folder, _COPY, dirs_exist_ok=True)
    if not (_COPY / "kafka_streams" / "target" / "ks.jar").is_file():
        command = ["mvn", "-q", "-B", "package"]
        try:
            done = subprocess.run(  # noqa: S603 - the command stands above
                command,
                cwd=_COPY / "kafka_streams",
                capture_output=True,
                text=True,
                timeout=_BUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Missing(f"Maven did not build it within {_BUILD_SECONDS} s") from None
        if done.returncode:
            raise Missing(f"Maven cannot build it: {done.stdout[-400:]}{done.stderr[-400:]}")
    return _COPY


async def run(built: Path, bootstrap_servers: str, topic: str, events: int) -> dict[str, Any]:
    """Run the peer over a topic that holds so many events and nothing else, exactly once, in one thread.

    Returns:
        what its ``run.py`` prints.
    """
    options = {
        "--bootstrap": bootstrap_servers,
        "--variant": "papi",
        "--guarantee": "exactly_once_v2",
        "--threads": "1",
        "--events": str(events),
        "--topic": topic,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "run.py",
        *(part for pair in options.items() for part in pair),
        cwd=built,
        env={**os.environ, "PEER_PRODUCT": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"kafka_streams failed:\n{output.decode()[-1000:]}{errors.decode()[-1000:]}")
    found: dict[str, Any] = json.loads(output)
    return found
