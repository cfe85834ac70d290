"""``trafficapp areas`` against a real database."""

from __future__ import annotations

import json

import psycopg
import pytest
from click.testing import CliRunner, Result

from trafficapp.cli import main
from trafficapp.settings.areas import AREA_COLUMNS
from trafficapp.stores.migrations import migrate


@pytest.fixture(autouse=True)
def _database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(database_url)
    monkeypatch.setenv("DATABASE_URL", database_url)


def run(*arguments: str, code: int = 0) -> str:
    result: Result = CliRunner().invoke(main, ["areas", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_a_column_is_added_and_the_settings_for_it_are_shown(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAFFICAPP_AREAS__COLUMNS", json.dumps(AREA_COLUMNS | {"speeds": "double precision[]"}))
    assert "missing: trafficapp areas add-column speeds 'double precision[]'" in run("columns", code=1)
    shown = run("add-column", "speeds", "double precision[]", "--dry-run")
    assert shown == 'ALTER TABLE traffic_data ADD COLUMN "speeds" double precision[];\n'
    assert run("add-column", "speeds", "double precision[]") == "traffic_data has speeds double precision[] now\n"
    assert "already" in run("add-column", "speeds", "double precision[]")
    assert "missing" not in (listed := run("columns"))
    assert "of the row's name" in listed
    said = run("add-column", "motorbikes", "integer")
    assert "    speeds: double precision[]\n    motorbikes: integer\n" in said
    with psycopg.connect(database_url) as server:
        server.execute("SELECT speeds, motorbikes FROM traffic_data")


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("label", "text", "is there from the beginning"),
        ("city", "text", "completed from the place"),
        ("xmin", "integer", "Postgres itself"),
        ('x" int; DROP TABLE cameras; --', "integer", "no name of a column"),
        ("Bikes", "integer", "no name of a column"),
    ],
)
def test_bad_names_are_refused(name: str, kind: str, says: str) -> None:
    assert says in run("add-column", name, kind, code=1)
    assert says in run("add-column", name, kind, "--dry-run", code=1)


def test_types_that_are_none_are_refused() -> None:
    assert "is not one of" in run("add-column", "bikes", "integer; DROP TABLE cameras", code=2)


def test_a_column_of_another_type_is_not_taken_for_it(database_url: str) -> None:
    with psycopg.connect(database_url) as server:
        server.execute("ALTER TABLE traffic_data ADD COLUMN lanes text")
    assert "of the type text" in run("add-column", "lanes", "jsonb", code=1)


def test_other_columns_name_a_row(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = "('5b0f5a34-8a2c-4c55-9d4e-2f4f1a7f6a10', '2026-01-14T12:00:00Z', NULL)"
    with psycopg.connect(database_url, autocommit=True) as server:
        insert = f'INSERT INTO traffic_data (stream_id, "timestamp", label) VALUES {row}'  # noqa: S608
        server.execute(insert)
        monkeypatch.setenv("TRAFFICAPP_AREAS__CONFLICT", '["stream_id", "label"]')
        assert "stream_id, label cannot name all rows" in run("set-key", code=1)
        with pytest.raises(psycopg.errors.UniqueViolation):
            server.execute(insert)
        server.execute("UPDATE traffic_data SET label = 'a'")
        assert run("set-key") == "stream_id, label name a row; 0 older rows went\n"
        server.execute(insert.replace("NULL", "'b'").replace("12:00", "13:00"))
        monkeypatch.setenv("TRAFFICAPP_AREAS__CONFLICT", '["stream_id"]')
        assert run("set-key") == "stream_id name a row; 1 older rows went\n"
        assert server.execute("SELECT label FROM traffic_data").fetchall() == [("b",)]


def test_without_the_server_it_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:9/nowhere")
    assert "Postgres at 127.0.0.1:9 cannot be used" in run("columns", code=1)
