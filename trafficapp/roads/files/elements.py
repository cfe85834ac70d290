"""The elements of an XML file, one after the other."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast
from xml.parsers import expat

_PIECE_BYTES = 1 << 20


def read_elements(
    path: Path, begin: Callable[[str, dict[str, str]], None], end: Callable[[str, str], None] | None = None
) -> None:
    """Read a file, packed with gzip or not, without ever having it in memory as a whole.

    Args:
        path: the file.
        begin: is called with name (without namespace) and attributes of each element.
        end: is called with name and text of each element when it ends.

    Raises:
        ValueError: it is no XML, an element lacks an attribute, or it declares entities, which no such file needs.
    """
    parser = expat.ParserCreate()
    pieces: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        pieces.clear()
        begin(tag.rpartition(":")[2], attributes)

    def finish(tag: str) -> None:
        if end is not None:
            end(tag.rpartition(":")[2], "".join(pieces))
        pieces.clear()

    def refuse(*_: object) -> None:
        raise ValueError("it declares entities")

    parser.StartElementHandler, parser.EndElementHandler = start, finish
    parser.CharacterDataHandler = pieces.append
    parser.EntityDeclHandler = refuse
    with cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb") as file:
        try:
            while piece := file.read(_PIECE_BYTES):
                parser.Parse(piece, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise ValueError(f"no XML: {error}") from None
        except KeyError as error:
            raise ValueError(f"line {parser.CurrentLineNumber}: an element without {error}") from None
        except EOFError as error:
            raise ValueError(str(error)) from None
