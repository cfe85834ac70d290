"""The schema of the history database, brought up to date step by step with plain SQL."""

from __future__ import annotations

from pathlib import Path

import psycopg
from alembic import command, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

_FOLDER = Path(__file__).parent

#: Key of the advisory lock that lets one process migrate at a time; any number that nobody else uses.
_LOCK_KEY = 0x7472_6166_6669_6331


#: What work needs, of what is there and of what the owner makes later. Partitions are made and dropped by functions of
#: the owner, which go by `time_partitions` and `alembic_version` tells the revision: both are read only.
_GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
    "GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, USAGE ON SEQUENCES TO {role}",
    "REVOKE INSERT, UPDATE, DELETE ON {schema}.time_partitions, {schema}.alembic_version FROM {role}",
)


def migrate(database_url: str, to: str = "head", worker: str | None = None) -> str:
    """Bring the schema up to date; does nothing when it is. Blocks: call it in a thread from async code.

    All steps happen in one transaction. Processes that call it at the same time wait for one another.

    Args:
        database_url: ``postgresql://user:password@host/db``, as libpq reads it.
        to: the revision to go up to.
        worker: a role that is given what work needs, when it is another one than that of the address.

    Returns:
        the revision the schema is at.

    Raises:
        psycopg.OperationalError: the server is not up or refuses the connection.
    """

    def connect() -> psycopg.Connection:
        return psycopg.connect(database_url, connect_timeout=10, application_name="trafficapp migrate")

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        revision = MigrationContext.configure(connection).get_current_revision()
        if worker is not None:
            _let_work(connection.connection.driver_connection, worker)
    return revision or ""


def _let_work(connection: object, worker: str) -> None:
    assert isinstance(connection, psycopg.Connection)  # noqa: S101 - `migrate` opened it
    found = connection.execute("SELECT current_schema(), current_user").fetchone()
    if found is None or found[1] == worker:
        return
    for grant in _GRANTS:
        statement = sql.SQL(grant).format(schema=sql.Identifier(found[0]), role=sql.Identifier(worker))
        connection.execute(statement)


def run_sql(file_name: str) -> None:
    """Execute a file of the folder ``sql`` inside a migration step."""
    statements = (_FOLDER / "sql" / file_name).read_text(encoding="utf-8")
    # The driver's own cursor: SQLAlchemy would look for parameters in the text.
    driver_connection = op.get_bind().connection.driver_connection
    assert isinstance(driver_connection, psycopg.Connection)  # noqa: S101 - `migrate` opened it
    driver_connection.execute(statements.encode())
