"""The columns of the table of areas, as settings say them."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from tests.areas.counters import area_settings
from trafficapp.feeds.declaration import COLUMN_TYPES
from trafficapp.settings import SettingsError
from trafficapp.settings.areas import AREA_COLUMNS, AreaColumnType


def test_columns_may_be_what_those_of_any_feed_may_be() -> None:
    assert set(get_args(AreaColumnType)) == COLUMN_TYPES


def test_everything_but_the_name_of_a_row_is_updated_unless_said_otherwise() -> None:
    assert area_settings().updated == tuple(AREA_COLUMNS)[1:]
    named = area_settings({"gate": "text"}, conflict=["stream_id", "gate"])
    assert "gate" not in named.updated
    assert area_settings(update=["timestamp", "label"]).updated == ("timestamp", "label")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"more": {"Gate": "text"}}, "no name of a column"),
        ({"more": {'a" text; DROP TABLE cameras; --': "text"}}, "no name of a column"),
        ({"more": {"x" * 64: "text"}}, "no name of a column"),
        ({"more": {"1st": "text"}}, "no name of a column"),
        ({"more": {"": "text"}}, "no name of a column"),
        ({"more": {"ctid": "integer"}}, "Postgres itself"),
        ({"more": {"city": "text"}}, "completed from the place"),
        ({"more": {"created_at": "timestamptz"}}, "taken"),
        ({"more": {"numbers_of_cars": "integer"}}, "taken"),
        ({"more": {"gate": "text; DROP TABLE cameras"}}, "gate"),
        ({"more": {"label": "integer"}}, "label is text"),
        ({"columns": {"stream_id": "uuid"}}, "timestamp must be there"),
        ({"conflict": ["gate"]}, "gate, which is not among columns"),
        ({"conflict": []}, "conflict"),
        ({"conflict": ["stream_id", "stream_id"]}, "twice"),
        ({"update": ["gate"]}, "gate, which is not among columns"),
        ({"update": ["label"]}, "must have timestamp"),
        ({"update": ["stream_id", "timestamp"]}, "cannot be in update"),
        ({"time_zone": "Hanoi"}, "IANA"),
    ],
)
def test_what_cannot_be_is_said_when_a_process_starts(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        area_settings(**changes)
