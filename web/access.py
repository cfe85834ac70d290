"""Who may what."""

from __future__ import annotations

from enum import Enum

from aiohttp import web


class Access(Enum):
    """What an operation demands of its caller."""

    OPEN = "open"
    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"


async def authorise(request: web.Request, access: Access) -> None:
    """Let a request pass, or refuse it.

    Raises:
        ProblemError: 401 without a valid token, 403 when its role is too small.
    """
