"""Another build of the project beside this one: a worktree of a commit, which is gone afterwards."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: What `make setup` fetches and no commit has; a worker looks for it.
_FETCHED = Path("web", "dashboard", "client", "vendor")


class NoSuchBuild(Exception):
    """A commit that cannot be checked out; the message says why, for a person."""


@contextmanager
def build_of(commit: str) -> Iterator[Path]:
    """Check a commit out into a temporary folder; modules that are run from there are those of that build.

    Args:
        commit: whatever git takes for one.

    Raises:
        NoSuchBuild: git does not take it, or this is no checkout.
    """
    with tempfile.TemporaryDirectory(prefix="bench-before-") as name:
        folder = Path(name, "tree")
        _git("worktree", "add", "--detach", str(folder), commit)
        try:
            if (ROOT / _FETCHED).is_dir() and not (folder / _FETCHED).exists():
                # older builds had no such place
                (folder / _FETCHED).parent.mkdir(parents=True, exist_ok=True)
                (folder / _FETCHED).symlink_to(ROOT / _FETCHED)
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    if done.returncode:
        raise NoSuchBuild(f"git {' '.join(arguments)}: {done.stderr.strip()}")
