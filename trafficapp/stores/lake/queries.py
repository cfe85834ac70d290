"""SQL over the lake, by DuckDB: what is asked reads the files of the lake, and nothing else of the machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from trafficapp.feeds.declaration import Feed
from trafficapp.settings import Settings
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import LakeTable

#: What the folders say, beside the columns of the files. A day is a date to every reader that is told so.
_FOLDERS = pa.schema([("topic", pa.string()), ("date", pa.date32())])


class NotASelect(ValueError):
    """What was asked is not one statement that only reads."""


def ask(storage: Storage, feeds: Iterable[Feed[Any]], settings: Settings, question: str) -> duckdb.DuckDBPyConnection:
    """Answer a question. Tables have the names that they have in Postgres.

    DuckDB gets the files from us and can open none itself, nor anything in the net, and cannot be told otherwise by the
    question.

    Args:
        storage: the lake.
        feeds: whose tables there are.
        settings: those of the process.
        question: one SELECT.

    Returns:
        a cursor with the answer.

    Raises:
        NotASelect: it is something else, or several.
        duckdb.Error: it cannot be answered; with what is wrong.
    """
    database = duckdb.connect(config={"python_enable_replacements": False})
    for name, files in tables(storage, feeds, settings).items():
        database.register(name, files)
    for setting in ("TimeZone = 'UTC'", "enable_external_access = false", "lock_configuration = true"):
        database.execute(f"SET {setting}")
    statements = database.extract_statements(question)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotASelect("one SELECT is answered, and nothing else")
    return database.execute(statements[0])


def tables(storage: Storage, feeds: Iterable[Feed[Any]], settings: Settings) -> dict[str, ds.Dataset]:
    """The files of feeds that have any, by the names of their tables."""
    found: dict[str, ds.Dataset] = {}
    for feed in feeds:
        if feed.history is None:
            continue
        table = LakeTable(feed, settings)
        pieces = list(storage.pieces(table.topic))
        if pieces:
            found[feed.history.table] = storage.dataset(pieces, table.schema, _FOLDERS)
    return found
