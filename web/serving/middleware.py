"""What happens to every request: counting, timing, limits, headers."""

from __future__ import annotations

import logging
import time
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from trafficapp.settings import Settings
from web.auth.access import Access, identify
from web.guards.connections import SERVER
from web.guards.hosts import HOSTS, Hosts
from web.guards.refusals import REFUSALS, Refusals, hold_refusals
from web.serving.context import CONTEXT
from web.serving.cors import ORIGINS, Origins
from web.serving.limits import ALLOWANCE, LIMITER, RateLimiter, check_query
from web.serving.operations import operation_of
from web.serving.problems import ProblemError, problems

#: Nothing from elsewhere, nothing inline, no frames: the page needs only our own files and sockets.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


#: Methods that change something, or may.
_WRITING = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE})

_JSON = "application/json"


def install(web_app: web.Application, settings: Settings) -> None:
    """Put everything of this module on an application, the outermost first."""
    web_app[LIMITER] = RateLimiter(settings.limits)
    web_app[ORIGINS] = Origins(settings.limits.cors_origins)
    web_app[HOSTS] = Hosts(settings.web.allowed_hosts)
    web_app[REFUSALS] = Refusals(settings.limits)
    web_app.middlewares.extend([hold_refusals, telemetry, problems, guard])
    web_app.on_response_prepare.append(set_headers)
    logging.getLogger("aiohttp.server").addFilter(tell_briefly)


def tell_briefly(record: logging.LogRecord) -> bool:
    """Tell of a request that is no HTTP in a line: not in a traceback, and not what was in it, which may be a token."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        record.exc_info, record.exc_text = None, None
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = "what %s sent is no HTTP: %s", (*(record.args or ("a client",)), type(error).__name__)
    return True


async def set_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Give every answer the security headers; answers are not to be cached unless they say so."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = SERVER
    allowance = request.get(ALLOWANCE)
    if allowance is not None:
        for name, value in allowance.headers.items():
            response.headers.setdefault(name, value)
    origins = request.config_dict.get(ORIGINS)
    if origins is not None:
        varies = response.headers.get(hdrs.VARY)
        response.headers.update(origins.headers(request))
        if varies is not None and varies != response.headers[hdrs.VARY]:
            response.headers[hdrs.VARY] += f", {varies}"
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
        measures.api_requests.labels(method, route, route, str(status)).inc()
        if status != HTTPStatus.SWITCHING_PROTOCOLS:
            elapsed = time.perf_counter() - started
            measures.api_request_latency_seconds.labels(method, route, route).observe(elapsed)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Hold every request to the limits: of a caller with a valid token by that, of others by their address.

    Raises:
        ProblemError: 421, it is for somebody else; 429, too many; 414, a query that is too long; 403, a page from
            elsewhere; 401, a wrong token; 415, a body that is no JSON.
    """
    limiter, origins = request.config_dict[LIMITER], request.config_dict[ORIGINS]
    operation = operation_of(request)
    address = limiter.address(request)
    access = Access.OPEN if operation is None else operation.access
    is_socket = operation is not None and operation.websocket
    try:
        request.config_dict[HOSTS].check(request)
        caller = await identify(request, access, is_socket)
    except ProblemError as error:
        # what is refused costs, too; a right token beside wrong ones of the same address is not refused
        request[ALLOWANCE] = limiter.spend(address)
        if error.status == HTTPStatus.UNAUTHORIZED:
            limiter.count_failed_login(address)
        raise
    request[ALLOWANCE] = limiter.spend(limiter.client(request, caller))
    check_query(request, request.config_dict[CONTEXT].settings.limits)
    preflight = origins.preflight(request)
    if preflight is not None:
        return preflight
    if (is_socket or request.method in _WRITING) and not origins.allows(request):
        # else any page in an operator's browser could read along, and do what needs no token
        does = "read this worker's sockets" if is_socket else "ask this worker to do something"
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            f"pages of {request.headers[hdrs.ORIGIN][:256]} may not {does}: see limits.cors_origins",
        )
    if request.method in _WRITING and request.can_read_body and request.content_type.lower() != _JSON:
        # what a form of a page elsewhere can send without asking us before
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"a body must be JSON: Content-Type: {_JSON}, not {request.headers.get(hdrs.CONTENT_TYPE, 'none')[:128]!r}",
            {hdrs.ACCEPT: _JSON},
        )
    return await handler(request)
