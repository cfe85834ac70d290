"""Questions in SQL, and nothing but questions."""

from __future__ import annotations

import json

import duckdb
import pytest
from click.testing import CliRunner

from tests.stores.lake.fixtures import FEED, Make, bays, make, settings, storage_of, write
from trafficapp.cli import main
from trafficapp.settings import Settings
from trafficapp.stores.lake.queries import NotASelect, ask
from trafficapp.stores.lake.tables import FeedTable

__all__ = ["make", "settings"]


async def test_a_question_is_answered_from_all_files(make: Make, settings: Settings) -> None:
    sink = make()
    await sink.load([0, 1])
    await write(sink, 0, bays(range(30), 0, lambda offset: offset % 3))
    await write(sink, 1, bays(range(10), 1))
    await write(sink, 0, bays(range(30, 40)))
    question = "SELECT date, count(*) AS bays, sum(occupied::int) FROM parking_bays GROUP BY date ORDER BY date"
    found = ask(storage_of(settings), [FeedTable(FEED, settings)], question)
    assert [(str(day), count, int(occupied)) for day, count, occupied in found.fetchall()] == [
        ("2026-01-14", 30, 15),
        ("2026-01-15", 10, 5),
        ("2026-01-16", 10, 5),
    ]
    question = (
        "SELECT bay_id, observed_at, topic FROM parking_bays WHERE date = '2026-01-16' ORDER BY observed_at LIMIT 1"
    )
    (one,) = ask(storage_of(settings), [FeedTable(FEED, settings)], question).fetchall()
    assert (one[0], str(one[1]), one[2]) == ("b0-2", "2026-01-16 12:00:02+00:00", sink.topic)


@pytest.mark.parametrize(
    "question",
    [
        "SELECT 1; SELECT 2",
        "COPY parking_bays TO '{}/bays.csv'",
        "ATTACH '{}/other.db'",
        "SET threads = 1",
        "",
        "LOAD x",
    ],
)
async def test_only_one_select_is_taken(make: Make, settings: Settings, question: str) -> None:
    root = storage_of(settings).root
    with pytest.raises(NotASelect):
        ask(storage_of(settings), [FeedTable(FEED, settings)], question.replace("{}", root))


@pytest.mark.parametrize("function", ["read_csv", "read_text", "read_blob", "read_parquet", "glob"])
async def test_a_question_opens_no_file_of_this_machine(make: Make, settings: Settings, function: str) -> None:
    sink = make()
    await sink.load([0])
    await write(sink, 0, bays(range(3)))
    storage = storage_of(settings)
    (piece,) = storage.pieces()
    with pytest.raises(duckdb.PermissionException):
        ask(storage, [FeedTable(FEED, settings)], f"SELECT * FROM {function}('{storage.root}/{piece.path}')").fetchall()  # noqa: S608
    with pytest.raises(duckdb.CatalogException):
        ask(storage, [FeedTable(FEED, settings)], "SELECT * FROM storage")


async def test_the_command_prints_rows(make: Make, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = make()
    await sink.load([0])
    await write(sink, 0, bays(range(3)))
    monkeypatch.setenv("TRAFFICAPP_LAKE__URL", settings.lake.url or "")
    monkeypatch.setenv("TRAFFICAPP_APP_ID", settings.app_id)
    monkeypatch.setattr("trafficapp.feeds.declared.FEEDS", [FEED])
    question = "SELECT bay_id, observed_at FROM parking_bays ORDER BY bay_id"
    runner = CliRunner()
    printed = runner.invoke(main, ["query", question, "--format", "json", "--limit", "2"])
    assert printed.exit_code == 0, printed.output
    assert [json.loads(line)["bay_id"] for line in printed.stdout.splitlines()] == ["b0-0", "b0-1"]
    assert "more than 2 rows" in printed.stderr
    assert runner.invoke(main, ["query", question, "--format", "csv"]).stdout.splitlines()[:2] == [
        "bay_id,observed_at",
        "b0-0,2026-01-14 12:00:00+00:00",
    ]
    assert "b0-2" in runner.invoke(main, ["query", question]).stdout
    refused = runner.invoke(main, ["query", "SELECT * FROM nothing"])
    assert (refused.exit_code, "Tables in the lake: parking_bays" in refused.output) == (1, True)
    monkeypatch.delenv("TRAFFICAPP_LAKE__URL")
    assert "TRAFFICAPP_LAKE__URL" in runner.invoke(main, ["query", question]).output
