"""How a worker's log looks as text: as Faust's, with everything from outside escaped."""

from __future__ import annotations

from typing import Any

from mode.utils.logging import (
    DEFAULT_COLOR_FORMAT,
    DEFAULT_COLORS,
    DEFAULT_FORMAT,
    DefaultFormatter,
    ExtensionFormatter,
)

from trafficapp.logs import Escaping


class PlainFormatter(Escaping, DefaultFormatter):  # type: ignore[misc]
    """For files and pipes."""


class ColouredFormatter(Escaping, ExtensionFormatter):  # type: ignore[misc]
    """For terminals."""


def logging_config() -> dict[str, Any]:
    """What Faust is to change of its own way of logging."""
    return {
        "merge": True,
        "formatters": {
            "default": {"()": PlainFormatter, "format": DEFAULT_FORMAT},
            "colored": {"()": ColouredFormatter, "format": DEFAULT_COLOR_FORMAT, "log_colors": DEFAULT_COLORS},
        },
    }
