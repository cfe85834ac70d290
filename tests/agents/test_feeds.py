"""Which agents feeds have, and which feeds cannot be beside each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.feeds import refuse_clashes
from tests.feeds.parking_bays import PARKING_BAYS
from trafficapp.application import create_app
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import SettingsError, load_settings

#: Goes on by its natural key, for readers of their own.
BARE = replace(PARKING_BAYS, name="bare", topic="bare", current=None, history=None, path=None)


def test_a_feed_that_is_only_keyed_anew_is_checked() -> None:
    settings = load_settings(worker={"role": "feeds"})
    assert "bare" in create_app(settings, [*FEEDS, BARE]).run_readers
    assert "bare" not in create_app(settings, [*FEEDS, replace(BARE, rekey=False)]).run_readers


def test_what_clickhouse_keeps_is_a_setting() -> None:
    def readers(**clickhouse: Any) -> set[str]:
        settings = load_settings(worker={"role": "clickhouse"}, clickhouse=clickhouse)
        return set(create_app(settings, [*FEEDS, PARKING_BAYS, BARE]).run_readers)

    url = "http://127.0.0.1:8123"
    assert readers() == set()
    assert readers(url=url, feeds=["parking-bays"]) == {"trafficapp-parking-bays-by-key"}
    assert readers(url=url) >= {"trafficapp-parking-bays-by-key", "traffic-predictions"}
    assert "bare" not in readers(url=url)
    with pytest.raises(SettingsError, match=r"clickhouse\.feeds names bare; feeds with a history are: "):
        readers(url=url, feeds=["bare"])


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(PARKING_BAYS, name="others"), "parking-bays and others have the same topic parking-bays"),
        (replace(PARKING_BAYS, topic="others"), "parking-bays and parking-bays have the same name parking_bays"),
        (replace(PARKING_BAYS, name="parking_bays", topic="others"), "have the same name parking_bays"),
        (
            replace(BARE, topic="trafficapp-parking-bays-by-key"),
            "have the same topic trafficapp-parking-bays-by-key",
        ),
    ],
)
def test_feeds_that_take_something_from_each_other_are_refused(other: Feed[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        create_app(load_settings(worker={"role": "feeds"}), [*FEEDS, PARKING_BAYS, other])


def test_feeds_that_have_nothing_in_common_are_not_refused() -> None:
    refuse_clashes([*FEEDS, PARKING_BAYS, BARE], load_settings())
