"""Memory that is given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
from functools import cache
from typing import Any


async def give_memory_back() -> None:
    """Return to the system what a large answer left free: allocators keep it, and many workers share a machine."""
    trim = _trim()
    if trim is not None:
        await asyncio.to_thread(trim, 0)


@cache
def _trim() -> Any:
    """The way that the C library of Linux has; None elsewhere."""
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None
