"""Ending the process at once, for whoever supervises it to start it again.

The state in memory, the outputs and the state in Kafka agree only along the paths that were thought
through. Anything else ends the process: the next one begins from what is durable.
"""

from __future__ import annotations

import logging
import os
import sys
from enum import IntEnum
from typing import NoReturn

logger = logging.getLogger(__name__)


class Exit(IntEnum):
    """Exit status of a process that ended itself."""

    SEND_FAILED = 70
    HOLE = 71
    APPLY_FAILED = 72
    STALLED = 73
    NOT_LOADED = 74
    LOG_WENT_BACK = 75
    PARTITIONS_CHANGED = 76
    LOG_DAMAGED = 77


def end_process(status: Exit, why: str) -> NoReturn:
    """Say why and end the process without any clean-up."""
    logger.critical("ending the process (%s): %s", status.name.lower(), why)
    for handler in logging.getLogger().handlers:
        handler.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
