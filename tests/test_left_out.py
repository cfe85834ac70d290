"""Where torch is not installed, the tests that need it are left out, and the last line of a run says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Runs pytest as it would run where a package is not installed.
WITHOUT = """
import importlib.util, sys
import pytest
real, missing = importlib.util.find_spec, sys.argv[1]
importlib.util.find_spec = lambda name, package=None: None if name == missing else real(name, package)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "--collect-only", *sys.argv[2:]]))
"""


def collected_without(missing: str, *arguments: str) -> list[str]:
    """Lines of a run; plugins, of which collecting needs none, take most of the time of its start."""
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", WITHOUT, missing, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("missing", ["torch", "nothing"])
def test_what_is_left_out_is_said(missing: str) -> None:
    lines = collected_without(missing, "tests/training")
    collected = {line.split("::")[0] for line in lines if "::" in line}
    assert "tests/training/test_camera_histories.py" in collected
    if missing == "torch":
        assert not [name for name in collected if "/torch/" in name]
        assert lines[-1].startswith("NOT RUN: tests that train a model (tests/training/torch), as torch ")
        assert "`make test-train`" in lines[-1]


def test_what_was_not_asked_for_is_not_missed() -> None:
    assert not [line for line in collected_without("torch", "tests/test_left_out.py") if "NOT RUN" in line]
