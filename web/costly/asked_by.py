"""Who asks, as the worker tells the process that answers for it."""

from __future__ import annotations

import msgspec

from web.auth.callers import Caller, CallerRole

#: In it the worker says who asks, and for whom it is counted. Nobody else reaches the process.
HEADER = "X-Trafficapp-Asked-By"


class AskedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the worker let pass.

    Attributes:
        client: as whom his requests are counted.
        name, role, authenticated, expires_at, by_key: see `Caller`.
    """

    client: str
    name: str
    role: int
    authenticated: bool
    expires_at: float | None
    by_key: bool

    @property
    def caller(self) -> Caller:
        """The caller."""
        return Caller(self.name, CallerRole(self.role), self.authenticated, self.expires_at, self.by_key)


def told(caller: Caller, client: str) -> str:
    """The header's value; names may hold what a header may not."""
    known = AskedBy(
        client=client,
        name=caller.name,
        role=int(caller.role),
        authenticated=caller.authenticated,
        expires_at=caller.expires_at,
        by_key=caller.by_key,
    )
    return msgspec.json.encode(known).hex()


def heard(value: str) -> AskedBy:
    """Who stands in the header."""
    return msgspec.json.decode(bytes.fromhex(value), type=AskedBy)
