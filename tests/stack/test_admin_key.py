from __future__ import annotations

import stat
from pathlib import Path

from trafficapp.settings import LEAST_KEY_CHARACTERS, load_settings
from trafficapp.stack import admin_key


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = admin_key.environment(load_settings(), tmp_path)
    assert admin_key.environment(load_settings(), tmp_path) == made
    assert load_settings(admin={"api_key": made["ADMIN_API_KEY"]}).admin.api_key is not None
    assert len(made["ADMIN_API_KEY"]) >= LEAST_KEY_CHARACTERS
    assert stat.S_IMODE((tmp_path / admin_key.FILE_NAME).stat().st_mode) == 0o600


def test_a_key_that_somebody_set_stays_his(tmp_path: Path) -> None:
    assert admin_key.environment(load_settings(admin={"api_key": "k" * LEAST_KEY_CHARACTERS}), tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
