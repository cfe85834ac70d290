"""What rules hold against a source, and since when."""

from __future__ import annotations

from msgspec import Struct


class Doubt(Struct, array_like=True, frozen=True, gc=False):
    """A rule that speaks against a source: since when, the newest sign of it, and its numbers."""

    since_us: int
    seen_us: int
    evidence: str
