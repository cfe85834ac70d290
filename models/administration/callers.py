"""Body of ``/api/caller``: who asks, and what that one may do."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct


class CallerNow(Struct, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        name: as the audit log names him; empty without a token.
        role: each may do what those before it may.
        authenticated: whether a valid token came along.
        expires_at: from when on the token is not accepted, RFC 3339 UTC; null where it always is, or there is none.
    """

    name: str
    role: Literal["nobody", "viewer", "operator", "admin"]
    authenticated: bool
    expires_at: str | None


encode_caller = msgspec.json.Encoder().encode
