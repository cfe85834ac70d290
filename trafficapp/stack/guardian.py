"""End our children when we are killed, on systems whose kernel does not offer it: a process that waits for our end.

It holds the reading end of a pipe whose only writing end is ours. When we are gone, however that happened, the pipe
ends, and it kills every process group that it was told of.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable

_lock = threading.Lock()
_process: subprocess.Popen[bytes] | None = None


def watch(leader_pid: int) -> None:
    """Have the process group of `leader_pid` killed when this process ends; a group that is gone is no harm."""
    global _process
    with _lock:
        if _process is None:
            _process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        if _process.stdin is not None:
            _process.stdin.write(b"%d\n" % leader_pid)
            _process.stdin.flush()


def kill_groups_at_end(lines: Iterable[str]) -> None:
    """Read leaders' numbers until the input ends, then kill the groups that are still led by a process."""
    leaders = {int(line) for line in lines}
    for leader in leaders:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


if __name__ == "__main__":
    kill_groups_at_end(sys.stdin)
