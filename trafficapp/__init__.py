"""One Faust application that turns a city's raw traffic feeds into exact numbers, live."""

from __future__ import annotations

import os
from typing import Any

# Pydantic looks through whatever is installed for plugins of its own, at each start of a process; here are none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def __getattr__(name: str) -> Any:
    """``trafficapp.app`` is the application that ``faust -A trafficapp`` looks for, built when asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # A worker's products of matrices stay on one thread, too: threads that wait for each other by spinning take the
    # cores from everything else, and on a busy machine a forecast took seven times as long. numpy reads it at import.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from trafficapp.application import app_for_commands

    application = globals()["app"] = app_for_commands()
    return application
