"""Files that browsers load: with a tag, asked anew each time, and compressed for whoever takes that."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

#: Best first.
ENCODINGS = ("br", "gzip")

#: Below this a compressed file saves less than its headers cost.
_SMALLEST_COMPRESSED_BYTES = 512


def serve_file(
    body: bytes,
    content_type: str,
    compressed: Mapping[str, bytes] | None = None,
    *,
    status: int = HTTPStatus.OK,
    policy: str | None = None,
    immutable: bool = False,
) -> Handler:
    """A view that answers with a file of ours.

    Args:
        body: the file.
        content_type: of text, in UTF-8.
        compressed: the file in some of `ENCODINGS`; gzip is made here unless it is given, when it is first asked for:
            most workers are never asked, and all of the dashboard would cost their start a tenth of a second.
        status: of the answer.
        policy: its Content-Security-Policy, where it is not that of every answer.
        immutable: whether there will never be another file at this address.
    """
    bodies = dict(compressed or {})
    offered = set(bodies)
    if len(body) >= _SMALLEST_COMPRESSED_BYTES:
        offered.add("gzip")
    digest = hashlib.sha256(body).hexdigest()[:32]

    async def view(request: web.Request) -> web.StreamResponse:
        accepted = _accepted(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
        encoding = next((name for name in ENCODINGS if name in offered and name in accepted), None)
        tag = digest if encoding is None else f"{digest}-{encoding}"
        known = request.if_none_match
        if status == HTTPStatus.OK and known and any(entry.value in (tag, "*") for entry in known):
            response = web.Response(status=HTTPStatus.NOT_MODIFIED)
        else:
            if encoding is not None and encoding not in bodies:
                bodies[encoding] = await asyncio.to_thread(gzip.compress, body, mtime=0)
            sent = body if encoding is None else bodies[encoding]
            response = web.Response(body=sent, content_type=content_type, charset="utf-8", status=status)
            if encoding is not None:
                response.headers[hdrs.CONTENT_ENCODING] = encoding
        # asked anew each time, answered with 304: a new version is never half old
        response.headers[hdrs.CACHE_CONTROL] = "public, max-age=31536000, immutable" if immutable else "no-cache"
        response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        response.etag = tag
        if policy is not None:
            response.headers["Content-Security-Policy"] = policy
        return response

    return view


def _accepted(header: str) -> frozenset[str]:
    """Names of encodings in a header; what has the quality 0 is refused (RFC 9110, 12.5.3)."""
    names = set()
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        quality = parameters.strip().removeprefix("q=").rstrip("0").rstrip(".")
        if parameters.strip() == "" or quality not in ("", "0"):
            names.add(name.strip())
    return frozenset(names)
