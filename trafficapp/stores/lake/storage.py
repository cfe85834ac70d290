"""The place of the lake: a folder, or a bucket of an S3-compatible storage. Everything here blocks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from trafficapp.stores.lake.pieces import PENDING_FOLDER, Piece

#: Rows that a reader takes at once; DuckDB works by groups of about so many.
_ROW_GROUP = 122_880


class Storage:
    """Writes, publishes and lists files.

    Args:
        url: ``file:///…`` or ``s3://…``.

    Raises:
        ValueError: the address is none.
    """

    def __init__(self, url: str) -> None:
        self.name = f"the lake at {url.partition('?')[0]}"
        try:
            self._files, self.root = fs.FileSystem.from_uri(url)
        except pa.ArrowInvalid as error:
            raise ValueError(str(error)) from None
        self._is_local = isinstance(self._files, fs.LocalFileSystem)

    def write(self, table: pa.Table) -> str:
        """Write a file that no reader sees yet, durably.

        Returns:
            its path below the root; no other has it.

        Raises:
            OSError: there is no room, or the storage is away; nothing is left then.
        """
        path = f"{PENDING_FOLDER}/{uuid.uuid4().hex}.parquet"
        self._files.create_dir(f"{self.root}/{PENDING_FOLDER}")
        whole = f"{self.root}/{path}"
        try:
            pq.write_table(table, whole, filesystem=self._files, compression="zstd", row_group_size=_ROW_GROUP)
            if self._is_local:
                _make_durable(whole)
        except BaseException:
            self.forget([path])
            raise
        return path

    def forget(self, pending: Iterable[str]) -> None:
        """Delete files that no reader has seen."""
        for path in pending:
            with suppress(OSError):
                self._files.delete_file(f"{self.root}/{path}")

    def publish(self, pending: str, piece: Piece) -> None:
        """Let readers see a file; once more changes nothing.

        Raises:
            OSError: the storage is away.
        """
        source, target = f"{self.root}/{pending}", f"{self.root}/{piece.path}"
        if self._files.get_file_info(source).type == fs.FileType.NotFound:
            return
        folder = target.rpartition("/")[0]
        self._files.create_dir(folder)
        self._files.move(source, target)
        if self._is_local:
            _make_durable(folder)

    def pieces(self, topic: str | None = None) -> Iterator[Piece]:
        """All files that readers see, in order of their paths."""
        below = self.root if topic is None else f"{self.root}/topic={topic}"
        selector = fs.FileSelector(below, allow_not_found=True, recursive=True)
        for found in sorted(self._files.get_file_info(selector), key=lambda one: one.path):
            piece = Piece.at(found.path[len(self.root) + 1 :])
            if piece is not None and found.type == fs.FileType.File:
                yield piece

    def read(self, piece: Piece) -> pa.Table:
        """The rows of a piece."""
        # not by its folders: what they say stands in no column
        return pq.read_table(f"{self.root}/{piece.path}", filesystem=self._files, partitioning=None)


def _make_durable(path: str) -> None:
    """Have the disk keep a file or a folder, whatever becomes of the machine."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
