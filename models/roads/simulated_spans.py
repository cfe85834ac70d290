"""Body of ``/api/simulated-spans``: which times hold simulated traffic."""

from __future__ import annotations

import msgspec
from msgspec import Struct


class SimulatedSpan(Struct, frozen=True, kw_only=True):
    """A span ``[from, to)`` that ``trafficapp simulate`` filled or sent: nothing in it was measured.

    Attributes:
        from_, to: RFC 3339 UTC.
        goes_on: whether it reaches into the last quarter of an hour, so that what is shown as of now was simulated.
    """

    from_: str = msgspec.field(name="from")
    to: str
    goes_on: bool


encode_simulated_spans = msgspec.json.Encoder().encode
