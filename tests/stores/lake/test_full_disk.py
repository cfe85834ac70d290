"""A disk that is really full: what was accepted is there once, and goes on when there is room."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores.lake.fixtures import settings
from tests.stores.lake.full_disk import RUN
from trafficapp.settings import Settings

__all__ = ["settings"]

ROOT = Path(__file__).resolve().parents[3]
#: A disk of this size, which nobody else sees and which is gone with its process.
_MOUNT = 'mount -t tmpfs -o size=320k tmpfs "$0" && exec "$@"'


def in_a_disk_of_its_own(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that sees a small disk in a folder."""
    return subprocess.run(  # noqa: S603 - our own command
        ["unshare", "--mount", "sh", "-c", _MOUNT, str(folder), *command],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=ROOT,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a small disk can be mounted; skips where this machine does not let us."""
    if os.name != "posix" or shutil.which("unshare") is None:
        pytest.skip("a disk of one's own needs unshare (Linux)")
    folder = tmp_path / "disk"
    folder.mkdir()
    tried = in_a_disk_of_its_own(folder, "true")
    if tried.returncode:
        pytest.skip(f"no small disk can be mounted here, which needs root: {tried.stderr.strip()}")
    return folder


def test_a_disk_that_is_really_full_is_waited_out(settings: Settings, disk: Path) -> None:
    writer = (sys.executable, "-m", "tests.stores.lake.full_disk")
    done = in_a_disk_of_its_own(disk, *writer, settings.app_id, settings.kafka.bootstrap_servers, str(disk))
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["was_full"] == [True, True]
    first, second = found["seen"]
    # each record that was written is seen once, from the first to the last, and never a part of a run
    assert first == list(range(len(first)))
    assert second == list(range(len(second)))
    assert len(first) % RUN == len(second) % RUN == 0
    assert 0 < len(first) < len(second) == found["written"] - RUN
