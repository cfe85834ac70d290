"""Body of ``/api/simulated-spans``: which times hold simulated history."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class SimulatedSpan(Struct, frozen=True, kw_only=True):
    """A span ``[from, to)`` that ``trafficapp simulate --history`` filled: nothing in it was measured. RFC 3339 UTC."""

    from_: str = msgspec.field(name="from")
    to: str


encode_simulated_spans = msgspec.json.Encoder().encode
