"""What is missing for what is asked for is said before it is due."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from trafficapp.settings import load_settings
from trafficapp.upkeep import needs
from trafficapp.upkeep.needs import lacking


def test_it_is_said_for_what_is_asked_for_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = load_settings(forecast={"train_weekly": "sun 03:00"}, backup={"nightly": "02:30"})
    monkeypatch.setattr(needs, "newest_pg_dump", lambda: None)
    monkeypatch.setattr(needs, "find_spec", lambda name: None if name == "torch" else find_spec("json"))
    training, backup = lacking(asked)
    assert training.startswith("forecast.train_weekly is sun 03:00, but torch is missing here")
    assert backup.startswith("backup.nightly is 02:30, but there is no pg_dump here")
    assert lacking(load_settings()) == []


def test_what_is_there_is_not_missed() -> None:
    assert lacking(load_settings(backup={"nightly": "02:30"})) == []
