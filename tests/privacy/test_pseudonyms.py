"""Ids of vehicles that say nothing without the key."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from models.timestamps import epoch_us
from trafficapp.privacy.pseudonyms import Pseudonyms, known_pseudonyms_of, pseudonyms_of
from trafficapp.settings import SettingsError, load_settings

KEY, PLATE = b"0123456789abcdef0123456789abcdef", "BO 123 XY"
ROME = ZoneInfo("Europe/Rome")


def us(day: int, hour: int, minute: int = 0) -> int:
    """A time in November 2026, UTC."""
    return epoch_us(datetime(2026, 11, day, hour, minute, tzinfo=UTC))


def test_a_vehicle_is_the_same_throughout_a_day_of_the_city_and_another_one_the_next() -> None:
    hashes = Pseudonyms(KEY, ROME)
    # midnight in Rome is 23:00 UTC
    ids = [hashes.of(PLATE, us(28, 23)), hashes.of(PLATE, us(29, 12)), hashes.of(PLATE, us(29, 22, 59))]
    assert len(set(ids)) == 1
    assert ids[0] == hashes.on(PLATE, date(2026, 11, 29))
    others = {hashes.of(PLATE, us(28, 22, 59)), hashes.of(PLATE, us(29, 23)), hashes.of("BO 123 XZ", us(29, 12))}
    assert len(others | set(ids)) == 4
    assert all(one.startswith("p-") and len(one) == 28 and PLATE not in one for one in others)


def test_it_follows_from_key_and_day_alone() -> None:
    # every worker and every replay has the same: what is written here must never change
    assert Pseudonyms(KEY, ROME).of(PLATE, us(29, 12)) == "p-kbqatx63vxwtsbctiuj25p2ypq"
    assert Pseudonyms(KEY[::-1], ROME).of(PLATE, us(29, 12)) != Pseudonyms(KEY, ROME).of(PLATE, us(29, 12))


@pytest.mark.parametrize("vehicle_id", ["", "\ud800", "x" * 256, "p-"])
@pytest.mark.parametrize("time_us", [0, 253_370_764_799_999_999])
def test_any_id_and_any_time_has_one(vehicle_id: str, time_us: int) -> None:
    for zone in (UTC, ROME, ZoneInfo("Pacific/Kiritimati")):
        assert Pseudonyms(KEY, zone).of(vehicle_id, time_us).startswith("p-")


def test_the_key_is_a_secret_of_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    file.chmod(0o644)
    for wrong, said in (
        ({"hash_vehicle_ids": True}, "is needed"),
        ({"hash_key": "short"}, "32 are the least"),
        ({"hash_key_file": file}, "chmod 600"),
        ({"hash_key_file": tmp_path / "none"}, "cannot be read"),
    ):
        with pytest.raises(SettingsError, match=said):
            load_settings(privacy=wrong)
    file.chmod(0o600)
    by_file = load_settings(privacy={"hash_vehicle_ids": True, "hash_key_file": file})
    by_name = load_settings(privacy={"hash_key": KEY.decode()})
    one, other = pseudonyms_of(by_file), known_pseudonyms_of(by_name)
    assert one is not None
    assert other is not None
    assert one.of(PLATE, us(29, 12)) == other.of(PLATE, us(29, 12))
    assert pseudonyms_of(by_name) is None
    assert KEY.decode() not in repr(by_name)
