"""SQL over the lake, by DuckDB: what is asked reads the files of the lake, and nothing else of the machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import duckdb
import pyarrow.dataset as ds

from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import FOLDERS, LakeTable


class NotASelect(ValueError):
    """What was asked is not one statement that only reads."""


def ask(storage: Storage, tables: Iterable[LakeTable], question: str) -> duckdb.DuckDBPyConnection:
    """Answer a question. Tables have the names that they have in Postgres.

    DuckDB gets the files from us and can open none itself, nor anything in the net, and cannot be told otherwise by the
    question.

    Args:
        storage: the lake.
        tables: those that there may be.
        question: one SELECT.

    Returns:
        a cursor with the answer.

    Raises:
        NotASelect: it is something else, or several.
        duckdb.Error: it cannot be answered; with what is wrong.
    """
    database = duckdb.connect(config={"python_enable_replacements": False})
    for name, files in filled(storage, tables).items():
        database.register(name, files)
    for setting in ("TimeZone = 'UTC'", "enable_external_access = false", "lock_configuration = true"):
        database.execute(f"SET {setting}")
    statements = database.extract_statements(question)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotASelect("one SELECT is answered, and nothing else")
    return database.execute(statements[0])


def filled(storage: Storage, tables: Iterable[LakeTable]) -> dict[str, ds.Dataset]:
    """The files of tables that have any, by name; several topics may share a table."""
    found: dict[str, list[ds.Dataset]] = defaultdict(list)
    for table in tables:
        if pieces := list(storage.pieces(table.topic)):
            found[table.table].append(storage.dataset(pieces, table.schema, FOLDERS))
    return {name: parts[0] if len(parts) == 1 else ds.dataset(parts) for name, parts in found.items()}
