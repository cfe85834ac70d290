"""What a client may ask of a worker: requests a second, length of a query, size of a body."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn

from aiohttp import hdrs, web

from trafficapp.settings import LimitSettings
from web.auth.callers import Caller
from web.serving.problems import ProblemError

#: Clients that are remembered; who is forgotten begins with a full bucket.
MAX_CLIENTS = 20_000

#: What a wrong token costs, in requests: guessing ends soon.
FAILED_LOGIN_COST = 20

#: Rows of a list that cost no more than the request, and how many beyond them cost as much as another one.
FREE_ROWS = 500
ROWS_OF_A_REQUEST = 50

#: A body has to arrive within this time.
BODY_WITHIN_SECONDS = 30.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a client has left.

    Attributes:
        limit: requests that may come at once.
        remaining: of those, how many now.
        full_seconds: until all of them may come again.
    """

    limit: int
    remaining: int
    full_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell a client."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.full_seconds),
        }


ALLOWANCE = web.RequestKey("allowance", Allowance)

#: Found once a request.
_ADDRESS = web.RequestKey("address", str)


class RateLimiter:
    """A token bucket for each client, the longest unheard forgotten first.

    Args:
        settings: rate and burst, and which proxies are believed.
        clock: seconds that only go forward.
    """

    def __init__(self, settings: LimitSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = settings.requests_per_second
        self._burst = settings.burst
        self._proxies = [ip_network(proxy, strict=False) for proxy in settings.trusted_proxies]
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def spend(self, client: str) -> Allowance:
        """Count a request.

        Raises:
            ProblemError: 429, the client has nothing left.
        """
        bucket = self._filled(client)
        if bucket.tokens < 1:
            self._refuse(bucket, 1, f"more than {self._rate:g} requests a second")
        bucket.tokens -= 1
        return self._allowance(bucket)

    def spend_on_rows(self, client: str, rows: int) -> None:
        """Count a list of so many rows more than usual; whoever has anything left gets it."""
        bucket = self._filled(client)
        bucket.tokens -= max(0, rows - FREE_ROWS) / ROWS_OF_A_REQUEST

    def count_failed_login(self, address: str) -> None:
        """Count a wrong token; who has a right one is not counted with those who guess.

        Raises:
            ProblemError: 429, too many came from there.
        """
        bucket = self._filled(f"failed {address}")
        # a small burst allows one at least, or the first wrong token would be told of others
        if bucket.tokens < min(FAILED_LOGIN_COST, self._burst):
            self._refuse(bucket, min(FAILED_LOGIN_COST, self._burst), "too many wrong tokens")
        bucket.tokens -= FAILED_LOGIN_COST

    def remote(self, request: web.Request) -> str:
        """Where a request comes from; the last address of ``X-Forwarded-For`` that no trusted proxy has."""
        remote = request.remote or "unknown"
        if self._is_proxy(remote):
            forwarded = ",".join(request.headers.getall(hdrs.X_FORWARDED_FOR, []))
            for hop in reversed([hop.strip() for hop in forwarded.split(",") if hop.strip()]):
                if _address(hop) is None:
                    break
                remote = hop
                if not self._is_proxy(hop):
                    break
        return remote

    def address(self, request: web.Request) -> str:
        """What is counted as one client: of an IPv6 address its network, as who has one has all addresses in it."""
        known = request.get(_ADDRESS)
        if known is None:
            remote = self.remote(request)
            parsed = _address(remote)
            known = str(IPv6Network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else remote
            request[_ADDRESS] = known
        return known

    def is_proxied(self, request: web.Request) -> bool:
        """Whether a trusted proxy sent a request, on a connection that others use, too."""
        return self._is_proxy(request.remote or "unknown")

    def client(self, request: web.Request, caller: Caller) -> str:
        """As whom a request is counted: by the token of its caller, or else by its address."""
        return caller.counted_as or self.address(request)

    def _is_proxy(self, address: str) -> bool:
        parsed = _address(address) if self._proxies else None
        return parsed is not None and any(parsed in proxy for proxy in self._proxies)

    def _filled(self, client: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(client)
        if bucket is None:
            bucket = self._buckets[client] = _Bucket(float(self._burst), now)
            if len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
            return bucket
        self._buckets.move_to_end(client)
        bucket.tokens = min(float(self._burst), bucket.tokens + (now - bucket.filled_at) * self._rate)
        bucket.filled_at = now
        return bucket

    def _refuse(self, bucket: _Bucket, needed: int, reason: str) -> NoReturn:
        wait_seconds = max(1, math.ceil((needed - bucket.tokens) / self._rate))
        raise ProblemError(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"{reason}; try again in {wait_seconds} s",
            {hdrs.RETRY_AFTER: str(wait_seconds), **self._allowance(bucket).headers},
        )

    def _allowance(self, bucket: _Bucket) -> Allowance:
        missing = self._burst - bucket.tokens
        return Allowance(self._burst, max(0, math.floor(bucket.tokens)), math.ceil(missing / self._rate))


LIMITER = web.AppKey("limiter", RateLimiter)


def check_query(request: web.Request, settings: LimitSettings) -> None:
    """Refuse an address that is too long.

    Raises:
        ProblemError: 414.
    """
    length = len(request.rel_url.raw_query_string)
    if length > settings.query_bytes:
        raise ProblemError(
            HTTPStatus.REQUEST_URI_TOO_LONG, f"the query has {length} bytes; at most {settings.query_bytes} are read"
        )


async def read_body(request: web.Request, most_bytes: int) -> bytes:
    """The whole body, counted while it arrives and after it was unpacked.

    Raises:
        ProblemError: 413, it is larger; 408, it takes too long; 400, it cannot be unpacked.
    """
    too_large = ProblemError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {most_bytes} bytes", {hdrs.CONNECTION: "close"}
    )
    if request.content_length is not None and request.content_length > most_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise too_large
    except TimeoutError:
        raise ProblemError(
            HTTPStatus.REQUEST_TIMEOUT, f"the body did not arrive within {BODY_WITHIN_SECONDS:g} s"
        ) from None
    except web.RequestPayloadError:
        # else aiohttp reads on to find the next request, fails again and closes before the answer is out
        request.content.feed_eof()
        raise ProblemError(
            HTTPStatus.BAD_REQUEST, "the body cannot be read: its encoding is broken", {hdrs.CONNECTION: "close"}
        ) from None
    return bytes(body)


@lru_cache(1024)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address in numbers; None when it is something else. The same ones come again and again."""
    try:
        return ip_address(text)
    except ValueError:
        return None
