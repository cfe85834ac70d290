"""Who calls: name and role."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from aiohttp import web

MAX_NAME_CHARACTERS = 128

#: What a caller with the administrator's key is known as beside the name he gives.
ADMINISTRATORS_KEY = "administrator's key"


class CallerRole(IntEnum):
    """What somebody may do; a larger role may do everything that a smaller one may."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def largest(cls, names: Iterable[object]) -> CallerRole:
        """The largest role among names; unknown names are nothing."""
        known = {role.name.lower(): role for role in cls if role is not cls.NOBODY}
        return max((known[name] for name in names if isinstance(name, str) and name in known), default=cls.NOBODY)

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        name: as the audit log names him: subject of the token, or what the header ``X-Admin-User`` says.
        role: the largest role that the token gives.
        authenticated: whether a valid token came along.
        expires_at: when the token ends, in epoch seconds; None, it does not, or there is none.
        by_key: whether the token is the administrator's key: then anybody who has it chooses the name.
    """

    name: str
    role: CallerRole
    authenticated: bool
    expires_at: float | None = field(default=None, compare=False)
    by_key: bool = False

    @property
    def identity(self) -> str:
        """Who it is as far as we know, whatever name he gives himself; empty without a token."""
        return ADMINISTRATORS_KEY if self.by_key else self.name

    @property
    def counted_as(self) -> str | None:
        """As whom limits count him: by his token, never by a name that he chooses; None, by his address."""
        if not self.authenticated:
            return None
        return ADMINISTRATORS_KEY if self.by_key else f"token of {self.name}"


CALLER = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who sends a request that has passed `web.auth.access.authorise`."""
    return request[CALLER]


def is_name(text: object) -> bool:
    """Whether a text can name somebody in the audit log."""
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME_CHARACTERS and text.isprintable() and not text.isspace()
