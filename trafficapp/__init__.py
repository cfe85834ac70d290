"""One Faust application that turns a city's raw traffic feeds into exact numbers, live."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """``trafficapp.app`` is the application that ``faust -A trafficapp`` looks for, built when asked for."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from trafficapp.application import create_app

    application = globals()["app"] = create_app()
    return application
