"""Asking HERE for the flow of traffic: conditional requests, and every failure with how long to wait.

The key goes as a parameter, because the API takes it nowhere else: no address and no error of the client library is
ever shown, and redirections, which could carry it elsewhere, are not followed.
"""

from __future__ import annotations

import email.utils
import time
from typing import NamedTuple

import aiohttp
import msgspec

from trafficapp.settings import HereSettings

#: West, south, east, north in degrees.
Box = tuple[float, float, float, float]

#: Waiting helps no wrong key and no wrong question: somebody must change a setting.
REFUSED_SECONDS = 900.0
#: Nobody waits longer than this because a server says so.
LONGEST_SECONDS = 3600.0


class Failure(Exception):
    """HERE gave no answer. The text says why, for people.

    Attributes:
        wait_seconds: how long to wait at least; None leaves it to the caller.
        lasting: whether trying again soon is in vain.
    """

    def __init__(self, text: str, wait_seconds: float | None = None, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds
        self.lasting = lasting


class Flow(NamedTuple):
    """An answer that differs from the one before."""

    body: bytes
    etag: str | None


class HereClient:
    """Asks for the flow in a box.

    Args:
        settings: where and with which key; the key must be there.
        box: of which area.

    Attributes:
        etag: of the last answer that was used; an answer that is still the same is not sent again.
    """

    def __init__(self, settings: HereSettings, box: Box) -> None:
        if settings.api_key is None:
            raise ValueError("HereClient needs a key")
        self.etag: str | None = None
        self._settings = settings
        self._key = settings.api_key
        self._box = box

    async def ask(self) -> Flow | None:
        """Ask once.

        Returns:
            the answer, or None when it is still the one of `etag`.

        Raises:
            Failure: there is none.
        """
        west, south, east, north = self._box
        question = {
            "in": f"bbox:{west:.6f},{south:.6f},{east:.6f},{north:.6f}",
            "locationReferencing": "shape",
            "apiKey": self._key.get_secret_value(),
        }
        headers = {} if self.etag is None else {"If-None-Match": self.etag}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(
                    f"{self._settings.url.rstrip('/')}/v7/flow",
                    params=question,
                    headers=headers,
                    allow_redirects=False,
                ) as response,
            ):
                return await self._read(response)
        except TimeoutError:
            raise Failure(f"HERE did not answer within {self._settings.timeout_seconds:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Failure(f"HERE cannot be asked: {self._without_key(error)}") from None

    async def _read(self, response: aiohttp.ClientResponse) -> Flow | None:
        if response.status == 304:
            return None
        if response.status != 200:
            raise await self._failure(response)
        body = await self._body(response, self._settings.max_answer_bytes)
        if body is None:
            largest = self._settings.max_answer_bytes
            raise Failure(f"HERE's answer is larger than {largest:,} bytes (setting here.max_answer_bytes)")
        return Flow(body, response.headers.get("ETag"))

    async def _failure(self, response: aiohttp.ClientResponse) -> Failure:
        status, why = response.status, await self._reason(response)
        if status in (401, 403):
            return Failure(
                f"HERE refuses the key with {status}{why}: check HERE_API_KEY", REFUSED_SECONDS, lasting=True
            )
        if status == 429:
            return Failure(
                f"HERE has had too many questions{why}", _retry_after(response) or self._settings.poll_seconds
            )
        if status >= 500:
            return Failure(f"HERE answers with {status}{why}", _retry_after(response))
        return Failure(f"HERE refuses the question with {status}{why}", REFUSED_SECONDS, lasting=True)

    async def _reason(self, response: aiohttp.ClientResponse) -> str:
        """What an error says of itself, if it is short and readable."""
        try:
            body = msgspec.json.decode(await self._body(response, 16_384) or b"")
            told = body.get("cause") or body.get("error_description") or body.get("title")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError, aiohttp.ClientError):
            return ""
        if not isinstance(told, str):
            return ""
        readable = "".join(character for character in told[:200] if character.isprintable())
        return f" ({readable.replace(self._key.get_secret_value(), '***')})"

    async def _body(self, response: aiohttp.ClientResponse, largest: int) -> bytes | None:
        """The body, decompressed; None when it is too large."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(1 << 16):
            body += chunk
            if len(body) > largest:
                return None
        return bytes(body)

    def _without_key(self, error: Exception) -> str:
        # messages of the library may carry the address, and with it the key in any spelling
        if isinstance(error, aiohttp.ClientConnectorError):
            return f"no connection to {error.host}:{error.port} ({error.os_error.strerror or type(error).__name__})"
        return type(error).__name__


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """How long the server wants to be left alone: seconds or a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return min(float(value), LONGEST_SECONDS)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return min(max(date.timestamp() - time.time(), 0.0), LONGEST_SECONDS)
    except (ValueError, TypeError, OverflowError):
        return None
