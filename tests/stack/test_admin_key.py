from __future__ import annotations

import stat
from pathlib import Path

import pytest

from trafficapp.settings import LEAST_KEY_CHARACTERS, SettingsError, load_settings
from trafficapp.stack import admin_key


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = admin_key.environment(load_settings(), tmp_path)
    assert admin_key.environment(load_settings(), tmp_path) == made
    assert load_settings(admin={"api_key": made["ADMIN_API_KEY"]}).admin.api_key is not None
    assert len(made["ADMIN_API_KEY"]) >= LEAST_KEY_CHARACTERS
    # what could be read before there was a key is read without one
    assert made["TRAFFICAPP_AUTH__PUBLIC_PLACES"] == "true"
    assert stat.S_IMODE((tmp_path / admin_key.FILE_NAME).stat().st_mode) == 0o600


def test_a_key_that_somebody_set_stays_his(tmp_path: Path) -> None:
    assert admin_key.environment(load_settings(admin={"api_key": "k" * LEAST_KEY_CHARACTERS}), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_for_demos_only() -> None:
    with pytest.raises(SettingsError, match=r"admin.api_key .* it has 5 characters"):
        load_settings(admin={"api_key": "short"})
    assert load_settings(admin={"api_key": "short", "short_key": True}).admin.api_key is not None
