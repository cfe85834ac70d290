"""The files of a static GTFS feed: a zip, a folder, or the address of a zip."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias
from urllib.parse import urlsplit

#: What a download, and a table taken out of its zip, may have; the largest feeds of whole countries have some 300 MB.
MOST_BYTES = 2 << 30
DOWNLOAD_SECONDS = 60.0
#: No real cell is longer; Python's own limit is 128 KiB.
_MOST_CHARACTERS = 1 << 20

Row: TypeAlias = dict[str, str]


class UnusableFeed(Exception):
    """A feed that no timetable can be made of; the text says why, for people."""


class Problems:
    """What is wrong with a feed and does not hinder: each kind with a count and the first place."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str) -> None:
        """Note a problem: what it is, in words that are the same for all of its kind, and where it is."""
        self._counts[what] += 1
        self._first.setdefault(what, where)

    def lines(self) -> list[str]:
        """A line for each kind, the most frequent first."""
        return [f"{count:,} × {what} (first: {self._first[what]})" for what, count in self._counts.most_common()]


class FeedFiles:
    """Tables by name.

    Args:
        tables: by name, without ``.txt``: a zip's member or a path.
        name: of the feed, for people.
    """

    def __init__(self, tables: dict[str, Path | zipfile.ZipInfo], archive: zipfile.ZipFile | None, name: str) -> None:
        self._tables, self._archive, self.name = tables, archive, name

    def __contains__(self, table: str) -> bool:
        return table in self._tables

    def rows(self, table: str, needed: tuple[str, ...], problems: Problems) -> Iterator[tuple[int, Row]]:
        """Rows of a table, each with its line; none where the feed does not have it.

        Raises:
            UnusableFeed: it cannot be read, or lacks a column that is needed.
        """
        if table not in self._tables:
            return
        csv.field_size_limit(_MOST_CHARACTERS)
        try:
            with self._open(table) as raw, io.TextIOWrapper(raw, "utf-8-sig", errors="replace", newline="") as text:
                reader = csv.reader(text)
                header = [name.strip() for name in next(reader, [])]
                if missing := [name for name in needed if name not in header]:
                    raise UnusableFeed(f"{table}.txt has no column {', '.join(missing)}")
                for cells in reader:
                    if not cells:
                        continue
                    if len(cells) != len(header):
                        problems.add(
                            f"{table}.txt: rows with more or fewer cells than columns", f"line {reader.line_num}"
                        )
                        if len(cells) < len(header):
                            cells += [""] * (len(header) - len(cells))
                    yield reader.line_num, dict(zip(header, map(str.strip, cells), strict=False))
        except (OSError, EOFError, csv.Error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise UnusableFeed(f"{table}.txt cannot be read: {error}") from None

    def _open(self, table: str) -> IO[bytes]:
        place = self._tables[table]
        if isinstance(place, Path):
            return place.open("rb")
        assert self._archive is not None  # noqa: S101 - members are of one
        if place.file_size > MOST_BYTES:
            raise UnusableFeed(f"{table}.txt has {place.file_size:,} bytes; no more than {MOST_BYTES:,} are read")
        return self._archive.open(place)


@contextmanager
def opened(place: str) -> Iterator[FeedFiles]:
    """Open a feed.

    Args:
        place: path of a zip or a folder, or an address that begins with http:// or https://.

    Raises:
        UnusableFeed: there is none.
    """
    if place.startswith(("http://", "https://")):
        with _zip(io.BytesIO(_downloaded(place)), urlsplit(place).hostname or place) as files:
            yield files
        return
    path = Path(place)
    if path.is_dir():
        yield FeedFiles({file.stem: file for file in sorted(path.glob("*.txt"))}, None, place)
    elif path.is_file():
        with _zip(path, place) as files:
            yield files
    else:
        raise UnusableFeed(f"{place} is neither a file, nor a folder, nor an address")


@contextmanager
def _zip(source: Path | io.BytesIO, name: str) -> Iterator[FeedFiles]:
    try:
        archive = zipfile.ZipFile(source)
    except (OSError, zipfile.BadZipFile) as error:
        raise UnusableFeed(f"{name} is no zip: {error}") from None
    with archive:
        # some put the files into a folder; of several, the one with the least path counts
        found: dict[str, Path | zipfile.ZipInfo] = {}
        for member in sorted(archive.infolist(), key=lambda one: -len(one.filename)):
            inner = Path(member.filename)
            if inner.suffix == ".txt" and not inner.name.startswith("."):
                found[inner.stem] = member
        yield FeedFiles(found, archive, name)


def _downloaded(address: str) -> bytes:
    from urllib.error import URLError
    from urllib.request import Request, urlopen

    # an address may carry a key: errors tell the host alone
    host = urlsplit(address).hostname
    try:
        request = Request(address, headers={"User-Agent": "trafficapp"})  # noqa: S310 - http or https
        with urlopen(request, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310
            body = bytes(answer.read(MOST_BYTES + 1))
    except (OSError, ValueError) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise UnusableFeed(f"{host} does not give the feed: {why}") from None
    if len(body) > MOST_BYTES:
        raise UnusableFeed(f"{host} gives more than {MOST_BYTES:,} bytes")
    return body
