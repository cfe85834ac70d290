"""By which names this worker may be called: against pages that have their own name point at us (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from web.serving.problems import ProblemError

_LOOPBACK_NAME = "localhost"


class Hosts:
    """The names that are answered in the header ``Host``.

    Loopback's names always are, and so is every address in numbers: whoever attacks by rebinding needs a name of his
    own there, and a page that calls an address is told apart by its origin.

    Args:
        allowed: further names; one that begins with a dot stands for all names below it.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        names = [name.lower().rstrip(".") for name in allowed]
        self._names = frozenset(name for name in names if not name.startswith("."))
        self._endings = tuple(name for name in names if name.startswith("."))

    def allows(self, host: str) -> bool:
        """Whether a value of the header is for us; its port does not matter."""
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname, parts.port
        except ValueError:
            return False
        if name is None or parts.netloc != host or "@" in host:
            return False
        name = name.rstrip(".")
        if name == _LOOPBACK_NAME or name.endswith(f".{_LOOPBACK_NAME}") or name in self._names:
            return True
        return name.endswith(self._endings) if self._endings and not _is_address(name) else _is_address(name)

    def check(self, request: web.Request) -> None:
        """Refuse a request that is for somebody else; one of HTTP/1.0 need not say.

        Raises:
            ProblemError: 421.
        """
        given = request.headers.getall(hdrs.HOST, [])
        if len(given) > 1 or any(not self.allows(host) for host in given):
            raise ProblemError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"this worker is not called {', '.join(given)[:256]!r}: see web.allowed_hosts",
                {hdrs.CONNECTION: "close"},
            )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


HOSTS = web.AppKey("hosts", Hosts)
