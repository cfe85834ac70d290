"""Ending the process at once."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import atexit, logging
from trafficapp.engine.fatal import Exit, end_process
logging.basicConfig()
atexit.register(print, "cleaned up")
print("last words")
try:
    end_process(Exit.HOLE, "topic-3 due 5 got 9")
finally:
    print("went on")
"""


def test_the_process_ends_at_once_with_its_status_and_says_why() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)  # noqa: S603
    assert ended.returncode == 71
    assert ended.stdout == "last words\n"
    assert "ending the process (hole): topic-3 due 5 got 9" in ended.stderr
