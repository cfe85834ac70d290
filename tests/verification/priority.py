"""The priority of processes that stand for other machines, or that measure, beside the workers that are looked at."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Linux shares cores among sessions first, and within one by niceness only; `trafficapp.stack.children` gives each
#: process a session of its own.
_OF_SESSION = Path("/proc/self/autogroup")


def set_niceness(niceness: int) -> None:
    """Set the niceness of this process, the leader of a session, and of the session where there is such a thing.

    What may not be set stays as it is: a niceness below 0 takes rights.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)
        if os.getsid(0) == os.getpid() and _OF_SESSION.exists():
            _OF_SESSION.write_text(str(niceness), encoding="ascii")
