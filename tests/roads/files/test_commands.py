"""``trafficapp graph import`` and ``trafficapp graph info``."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from tests.roads.conftest import FILES
from trafficapp.cli import main


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["graph", *arguments])
    return result.exit_code, result.output


def test_import_and_info(tmp_path: Path) -> None:
    out = str(tmp_path / "bologna")
    code, told = run("import", *map(str, FILES), "--city", "bologna", "--out", out, "--source", "EPL-2.0")
    assert code == 0
    assert "153 nodes, 243 edges, 377 turns" in told
    code, told = run("info", out)
    assert code == 0
    assert "EPL-2.0" in told
    assert "44.48963 to 44.50710" in told


def test_without_a_source_the_files_are_named(tmp_path: Path) -> None:
    assert run("import", *map(str, FILES), "--city", "bologna", "--out", str(tmp_path))[0] == 0
    assert "not told (imported from bologna_nodes.parquet, " in run("info", str(tmp_path))[1]


def test_faults_are_told_in_one_line(tmp_path: Path) -> None:
    code, told = run("import", str(FILES[0]), "--city", "b", "--out", str(tmp_path), "--source", "EPL-2.0")
    assert code == 1
    assert told.startswith("Error: none of the files has edges")
    code, told = run("info", str(tmp_path))
    assert code == 1
    assert "no road graph at" in told
