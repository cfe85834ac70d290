from __future__ import annotations

import os
from pathlib import Path

import pytest

from trafficapp.stack.errors import StackError
from trafficapp.stack.servers import data_dir


def test_two_stacks_cannot_share_a_folder(tmp_path: Path) -> None:
    with data_dir.locked(tmp_path):
        with pytest.raises(StackError, match=f"in use by process {os.getpid()}"), data_dir.locked(tmp_path):
            pass
        with data_dir.locked(tmp_path, data_dir.WORKERS_LOCK):
            pass
    with data_dir.locked(tmp_path):
        pass


def test_clear_removes_what_a_stack_wrote(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "topic-0").mkdir(parents=True)
    (tmp_path / "postgres.password").write_text("secret")
    with data_dir.locked(tmp_path):
        data_dir.clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {data_dir.SERVERS_LOCK, data_dir.WORKERS_LOCK}


def test_clear_touches_nothing_in_a_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "thesis.tex").write_text("years of work")
    with data_dir.locked(tmp_path), pytest.raises(StackError, match=r"thesis\.tex"):
        data_dir.clear(tmp_path)
    assert (tmp_path / "kafka").is_dir()


def test_clear_waits_for_no_running_workers(tmp_path: Path) -> None:
    (tmp_path / "workers").mkdir()
    with data_dir.locked(tmp_path), data_dir.locked(tmp_path, data_dir.WORKERS_LOCK):
        with pytest.raises(StackError, match="in use"):
            data_dir.clear(tmp_path)
        assert (tmp_path / "workers").is_dir()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"cannot be written.*--data-dir"):
        data_dir.prepare(tmp_path / "file" / "stack")


def test_the_default_follows_the_cache_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_dir.default_data_dir() == tmp_path / "trafficapp" / "stack"
