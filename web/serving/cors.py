"""Which pages from elsewhere may call the API in a browser (CORS)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from web.serving.problems import ProblemError

_ALLOWED_HEADERS = "Authorization, Content-Type, X-Admin-Token, X-Admin-User, X-Request-Id"
_EXPOSED_HEADERS = "Link, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Data-Source, X-Step"
_KEPT_SECONDS = "600"


class Origins:
    """The pages that are allowed, by origin: scheme, host and port.

    Tokens travel in headers, never in cookies, so credentials are not allowed and nobody is everybody: there is no
    wildcard.

    Args:
        allowed: such as ``https://traffic.example.org``.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)

    def allows(self, request: web.Request) -> bool:
        """Whether the page that sends a request may: one of ours, a listed one, or no page at all."""
        origin = request.headers.get(hdrs.ORIGIN)
        # not request.host, which looks this machine's own name up when there is no header
        return origin is None or _host(origin) == request.headers.get(hdrs.HOST, "") or origin.lower() in self._allowed

    def headers(self, request: web.Request) -> dict[str, str]:
        """What an answer tells the browser."""
        if not self._allowed:
            return {}
        origin = request.headers.get(hdrs.ORIGIN)
        headers: dict[str, str] = {hdrs.VARY: hdrs.ORIGIN}
        if origin is not None and origin.lower() in self._allowed:
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED_HEADERS
        return headers

    def preflight(self, request: web.Request) -> web.Response | None:
        """Answer what a browser asks before it sends a request; None for every other request.

        Raises:
            ProblemError: 403, the page is not allowed.
        """
        wanted = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if request.method != hdrs.METH_OPTIONS or wanted is None or hdrs.ORIGIN not in request.headers:
            return None
        refused = request.match_info.http_exception
        if not isinstance(refused, web.HTTPMethodNotAllowed):
            return None
        if not self.allows(request):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                f"pages of {request.headers[hdrs.ORIGIN][:256]} may not call this worker: see limits.cors_origins",
            )
        return web.Response(
            status=HTTPStatus.NO_CONTENT,
            headers={
                hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(sorted(refused.allowed_methods)),
                hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ALLOWED_HEADERS,
                hdrs.ACCESS_CONTROL_MAX_AGE: _KEPT_SECONDS,
            },
        )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None  # "http://[" is no address


ORIGINS = web.AppKey("origins", Origins)
