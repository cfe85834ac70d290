"""What happens to every request: counting, timing, headers."""

from __future__ import annotations

import time
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from web.context import CONTEXT

#: Nothing from elsewhere, nothing inline, no frames: the page needs only our own files and sockets.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    hdrs.SERVER: "trafficapp",
}


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the security headers; answers are not to be cached unless they say so."""
    response.headers.update(_HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


@web.middleware
async def telemetry(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count requests and time the answers. The route, not the path, is the label: paths are unbounded."""
    measures = request.config_dict[CONTEXT].telemetry
    started = time.perf_counter()
    resource = request.match_info.route.resource
    route = "unknown" if resource is None else resource.canonical
    method = request.method if request.method in hdrs.METH_ALL else "OTHER"
    status = 499  # the client went away before the answer
    try:
        response = await handler(request)
        status = response.status
        return response
    finally:
        measures.api_requests.labels(method, route, str(status)).inc()
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            elapsed = time.perf_counter() - started
            measures.api_request_latency_seconds.labels(method, route).observe(elapsed)
