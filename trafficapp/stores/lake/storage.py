"""The place of the lake: a folder, or a bucket of an S3-compatible storage. Everything here blocks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from trafficapp.stores.lake.pieces import PENDING_FOLDER, Piece, without_covered

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
        """All files that readers see, but those that are in others."""
        yield from without_covered(self._all_pieces(topic))

    def sizes(self, pieces: Iterable[Piece]) -> list[int]:
        """Bytes of pieces."""
        found = self._files.get_file_info([f"{self.root}/{piece.path}" for piece in pieces])
        return [one.size or 0 for one in found]

    def delete(self, piece: Piece) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            self._files.delete_file(f"{self.root}/{piece.path}")

    def pending(self, older_than: datetime) -> list[str]:
        """Files that no reader has seen, written before a time."""
        selector = fs.FileSelector(f"{self.root}/{PENDING_FOLDER}", allow_not_found=True)
        found = self._files.get_file_info(selector)
        return [one.path[len(self.root) + 1 :] for one in found if one.mtime and one.mtime < older_than]

    def _all_pieces(self, topic: str | None) -> Iterator[Piece]:
        below = self.root if topic is None else f"{self.root}/topic={topic}"
        selector = fs.FileSelector(below, allow_not_found=True, recursive=True)
        for found in self._files.get_file_info(selector):
            piece = Piece.at(found.path[len(self.root) + 1 :])
            if piece is not None and found.type == fs.FileType.File:
                yield piece

    def dataset(self, pieces: Iterable[Piece], schema: pa.Schema, folders: pa.Schema) -> ds.Dataset:
        """The rows of pieces of one topic, with what their folders say as columns."""
        paths = [f"{self.root}/{piece.path}" for piece in pieces]
        parts = ds.partitioning(folders, flavor="hive")
        return ds.dataset(
            paths,
            pa.unify_schemas([schema, folders]),
            format="parquet",
            filesystem=self._files,
            partitioning=parts,
            partition_base_dir=self.root,
        )

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
