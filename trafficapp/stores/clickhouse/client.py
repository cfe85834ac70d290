"""ClickHouse over HTTP: statements, questions and insertions, and what its errors mean."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from trafficapp.settings.clickhouse import ClickHouseSettings

#: Codes of ClickHouse for values that a table does not take.
_OF_VALUES: Final = frozenset({6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 131, 190, 321, 349, 376, 407, 441, 457, 467})

#: Codes for a table, a column or a database that is not there.
_NOT_CREATED: Final = frozenset({8, 16, 47, 60, 81})

_CODE: Final = re.compile(r"\s*Code:\s*([0-9]{1,6})")
_LONGEST_ERROR: Final = 2000

#: What errors of the network are to the client.
NETWORK: Final = (aiohttp.ClientError, OSError, TimeoutError)


class ClickHouseError(Exception):
    """ClickHouse said no.

    Attributes:
        code: as ClickHouse numbers its errors; None where somebody else answered.
    """

    def __init__(self, code: int | None, text: str) -> None:
        super().__init__(" ".join(text.split())[:500])
        self.code = code

    @property
    def is_of_values(self) -> bool:
        """Whether it was said of values: without them the others can be written."""
        return self.code in _OF_VALUES

    @property
    def is_not_created(self) -> bool:
        """Whether tables are not there yet, or are older than we are."""
        return self.code in _NOT_CREATED


def in_words(error: BaseException) -> str:
    """What the log says of an outage, behind the name."""
    said = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    if isinstance(error, ClickHouseError) and error.is_not_created:
        return f"lacks what is to be written ({said}); waiting for `trafficapp clickhouse create`"
    return f"cannot be used ({said}); waiting for it"


class ClickHouse:
    """A server. It connects when it is first asked.

    Args:
        settings: with a url.

    Attributes:
        name: of the server, for people.
        database: of our tables.
    """

    def __init__(self, settings: ClickHouseSettings) -> None:
        if settings.url is None:
            raise ValueError("ClickHouse needs a url")
        self.name = f"ClickHouse at {urlsplit(settings.url).netloc}"
        self.database = settings.database
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/"
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, question: str) -> list[dict[str, Any]]:
        """The rows that a question finds.

        Raises:
            ClickHouseError: the server refuses it.
            aiohttp.ClientError, OSError, TimeoutError: it does not answer.
        """
        # errors come with a status, and not behind rows
        said = await self._post(f"{question} FORMAT JSONEachRow".encode(), {"wait_end_of_query": "1"})
        return [msgspec.json.decode(line) for line in said.splitlines() if line.strip()]

    async def do(self, statement: str) -> None:
        """Run a statement.

        Raises:
            ClickHouseError, aiohttp.ClientError, OSError, TimeoutError: likewise.
        """
        await self._post(statement.encode(), {})

    async def insert(self, statement: str, rows: bytes) -> None:
        """Insert rows; returns when they are kept.

        Args:
            statement: with the format that the rows are of.
            rows: in it.

        Raises:
            ClickHouseError, aiohttp.ClientError, OSError, TimeoutError: likewise. After one of the last three nobody
                knows whether the rows are kept.
        """
        await self._post(rows, {"query": statement})

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes, parameters: dict[str, str]) -> bytes:
        if self._session is None:
            settings = self._settings
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds),
                headers={
                    "Authorization": aiohttp.encode_basic_auth(settings.user, settings.password.get_secret_value())
                },
            )
        async with self._session.post(self._url, params=parameters, data=body, allow_redirects=False) as response:
            said = await response.read()
            if response.status == 200:
                return said
            text = said[:_LONGEST_ERROR].decode(errors="replace")
            code = _code(response.headers.get("X-ClickHouse-Exception-Code"), text)
            raise ClickHouseError(code, text or f"status {response.status}")


def _code(header: str | None, text: str) -> int | None:
    if header is not None and header.isascii() and header.isdigit():
        return int(header[:9])
    found = _CODE.match(text)
    return int(found[1]) if found else None
