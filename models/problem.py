"""The body of every error answer: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import msgspec
from msgspec import Struct

CONTENT_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong.

    Attributes:
        title: the kind of fault; the same for every fault of its kind.
        status: the HTTP status.
        detail: what exactly is wrong with this request, for a person.
        instance: names this occurrence, to be found in the log.
    """

    title: str
    status: int
    detail: str = ""
    instance: str = ""
    type: str = ""


encode_problem = msgspec.json.Encoder().encode
