"""Our modules and styles as `pack.mjs` joined them: a first visit asks for a handful of files instead of a hundred."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from importlib.resources.abc import Traversable

import msgspec
from msgspec import Struct

logger = logging.getLogger(__name__)

#: Where it lies, in the folder of the client.
FOLDER = ("vendor", "pack")
_OF_OTHERS = "vendor"
_SOURCES = (".js", ".css")


class Pack(Struct, frozen=True):
    """What a pack says of itself.

    Attributes:
        sources: files it is made of, sorted.
        sha256: of their names and contents.
        entry: the module that starts the dashboard.
        style: its style sheet.
        first: modules that are needed before anything is seen.
    """

    sources: list[str]
    sha256: str
    entry: str
    style: str
    first: list[str]


def pack_of(client: Traversable) -> Pack | None:
    """The pack in a client's folder; None where there is none, or where a file is another one than it was made of."""
    manifest = client.joinpath(*FOLDER, "manifest.json")
    if not manifest.is_file():
        return None
    pack = msgspec.json.decode(manifest.read_bytes(), type=Pack)
    if _is_of(pack, client):
        return pack
    logger.info("the dashboard's modules were changed since they were packed: they are served one by one")
    return None


def _is_of(pack: Pack, client: Traversable) -> bool:
    files = set(pack.sources)
    if not set(_own(client)) <= files:
        return False
    digest = hashlib.sha256()
    for name in pack.sources:
        source = client.joinpath(*name.split("/"))
        if not source.is_file():
            return False
        digest.update(name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest() == pack.sha256


def _own(folder: Traversable, path: str = "") -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name != _OF_OTHERS:
                yield from _own(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_SOURCES):
            yield f"{path}{entry.name}"
