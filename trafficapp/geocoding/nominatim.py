"""Asking a service that speaks Nominatim's API, through geopy; every failure with how long to wait.

The key goes as a parameter, because such services take it nowhere else: no address and no error of the client libraries
is shown with it, and redirections, which could carry it elsewhere, are not followed.
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, NoReturn
from urllib.parse import quote_plus, urlsplit

import aiohttp
import msgspec
import yarl
from geopy import exc
from geopy.adapters import AdapterHTTPError, AioHTTPAdapter, get_retry_after
from geopy.geocoders import Nominatim

from trafficapp.geocoding.addresses import NOMINATIM, Address, Unreadable, read_nominatim
from trafficapp.settings.geocoding import GeocodingSettings

#: Waiting helps no wrong key and no service that has locked us out: somebody must change a setting.
REFUSED_SECONDS = 900.0
#: Where a service that has had too many requests does not say how long to wait.
TOO_MANY_SECONDS = 60.0
#: Nobody waits longer than this because a server says so.
LONGEST_SECONDS = 3600.0

#: An answer is one to four kilobytes.
_LARGEST_ANSWER = 1 << 20
_SAID = 200

#: What a service says of a place that it has nothing for, with 200 or with 404.
_NOTHING = "Unable to geocode"

_REFUSED = (exc.GeocoderAuthenticationFailure, exc.GeocoderInsufficientPrivileges)

# it writes addresses with the key into its log
logging.getLogger("geopy").setLevel(logging.WARNING)


class NoAnswer(Exception):
    """The service gave no answer. The text says why, for people, as what follows its name.

    Attributes:
        wait_seconds: how long to wait at least; None leaves it to the caller.
        is_about_the_place: whether another place may well be answered.
    """

    def __init__(self, text: str, wait_seconds: float | None = None, *, is_about_the_place: bool = False) -> None:
        super().__init__(text)
        self.wait_seconds = wait_seconds
        self.is_about_the_place = is_about_the_place


class NominatimClient:
    """Asks where places are. Use it as a context manager.

    Args:
        settings: with a url.

    Attributes:
        name: of the service, for people.
    """

    def __init__(self, settings: GeocodingSettings) -> None:
        if settings.url is None:
            raise ValueError("NominatimClient needs a url")
        parts = urlsplit(settings.url)
        # people also give the address that is asked itself
        path = parts.path.rstrip("/").removesuffix("/reverse").removesuffix("/search")
        self.name = f"the geocoding service at {parts.netloc}"
        self._settings = settings
        self._key = "" if settings.api_key is None else settings.api_key.get_secret_value()
        self._geocoder = _KeyedNominatim(
            {settings.api_key_parameter: self._key} if self._key else {},
            domain=parts.netloc + path,
            scheme=parts.scheme,
            user_agent=settings.user_agent,
            timeout=settings.timeout_seconds,
            adapter_factory=_CarefulAdapter,
        )

    async def __aenter__(self) -> NominatimClient:
        await self._geocoder.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._geocoder.__aexit__(kind, error, trace)

    async def ask(self, latitude: float, longitude: float) -> Address:
        """Ask once.

        Args:
            latitude: degrees WGS 84.
            longitude: likewise.

        Returns:
            what the service says; an address that is not known when it has nothing for the place.

        Raises:
            NoAnswer: it said nothing of use.
        """
        try:
            # a pair of numbers: geopy reads texts in ways of its own
            found = await self._geocoder.reverse((latitude, longitude), language=self._settings.language or False)
            if found is None:
                return Address(source=NOMINATIM)
            return read_nominatim(found.raw, latitude, longitude, self._settings.offline_reach_m)
        except Unreadable as error:
            self._fail(f"answers with something else: {error}", about_the_place=True)
        except _REFUSED as error:
            self._fail(
                f"refuses us ({self._said(error)}): check GEOCODING_API_KEY and geocoding.user_agent", REFUSED_SECONDS
            )
        except exc.GeopyError as error:
            answer = error.__cause__
            if isinstance(answer, AdapterHTTPError):
                return self._without_answer(error, answer)
            if isinstance(error, exc.GeocoderTimedOut):
                self._fail(f"did not answer within {self._settings.timeout_seconds:g} s")
            self._fail(
                f"cannot be asked ({self._said(error)})",
                about_the_place=not isinstance(error, exc.GeocoderUnavailable),
            )
        except Exception as error:
            # what geopy does not expect of an answer, as a list of numbers
            self._fail(f"gave an answer that cannot be read ({self._said(error)})", about_the_place=True)

    def _fail(self, text: str, wait_seconds: float | None = None, *, about_the_place: bool = False) -> NoReturn:
        raise NoAnswer(text, wait_seconds, is_about_the_place=about_the_place) from None

    def _without_answer(self, error: exc.GeopyError, answer: AdapterHTTPError) -> Address:
        """What another status than 200 means."""
        if answer.status_code == 404 and _NOTHING in (answer.text or ""):
            return Address(source=NOMINATIM)
        wait_seconds = _bounded(get_retry_after(answer.headers))
        if answer.status_code == 429:
            self._fail("has had too many requests", wait_seconds or TOO_MANY_SECONDS)
        self._fail(f"gave no answer ({self._said(error)})", wait_seconds, about_the_place=wait_seconds is None)

    def _said(self, error: BaseException) -> str:
        """What an error says, with what the server said, but without the key."""
        cause = error.__cause__
        body = f": {cause.text}" if isinstance(cause, AdapterHTTPError) and cause.text else ""
        text = f"{type(error).__name__}: {error}{body}"
        for secret in filter(None, (self._key, quote_plus(self._key))):
            text = text.replace(secret, "(key)")
        return " ".join(text.split())[:_SAID]


class _KeyedNominatim(Nominatim):
    """Adds a parameter to every request."""

    def __init__(self, parameters: dict[str, str], **options: Any) -> None:
        super().__init__(**options)
        self._parameters = parameters

    def _construct_url(self, base_api: str, params: dict[str, Any]) -> Any:
        return super()._construct_url(base_api, params | self._parameters)


class _CarefulAdapter(AioHTTPAdapter):
    """Reads no more than an answer may have, and follows no redirection."""

    async def get_json(self, url: str, *, timeout: float, headers: Any) -> Any:  # noqa: ASYNC109 - geopy's
        """The JSON of an answer."""
        with self._normalize_exceptions():
            async with self.session.get(
                yarl.URL(url, encoded=True),
                timeout=aiohttp.ClientTimeout(total=timeout),
                headers=headers,
                ssl=self.ssl_context or True,
                allow_redirects=False,
            ) as response:
                body = await _body(response)
                if response.status != 200:
                    text = body[:_SAID].decode(errors="replace")
                    where = response.headers.get("Location")
                    told = f"status {response.status}" + (f", elsewhere: {where}" if where else "")
                    raise AdapterHTTPError(told, status_code=response.status, headers=response.headers, text=text)
                try:
                    return msgspec.json.decode(body)
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    raise exc.GeocoderParseError(f"no JSON: {error}") from None


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > _LARGEST_ANSWER:
            response.close()
            raise exc.GeocoderParseError(f"more than {_LARGEST_ANSWER:,} bytes")
    return bytes(body)


def _bounded(seconds: Any) -> float | None:
    return min(float(seconds), LONGEST_SECONDS) if isinstance(seconds, int | float) and seconds > 0 else None
