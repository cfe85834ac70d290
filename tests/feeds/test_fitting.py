"""Whoever keeps no rows makes one only where the table may refuse it, and refuses the same messages all the same."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from models.cameras.detections import Rejected
from trafficapp.feeds.declaration import RECORD_TIME, Column, Feed, History
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.feeds.fitting import always_fits
from trafficapp.settings import load_settings

NOON_US = 1_768_392_000_000_000


class Odd(Struct, kw_only=True, frozen=True):
    """A message with a field of each kind."""

    name: str
    timestamp: str | int | float
    text: str | None = None
    long: str = ""
    short: Annotated[str, Meta(max_length=100)] = ""
    word: Literal["a", "b"] = "a"
    real: float | None = None
    yes: bool = True
    reals: list[float] = []
    small: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = 0
    whole: int | None = None
    number_or_text: float | str | None = None
    anything: Any = None


def feed(columns: dict[str, Column], *key: str) -> Feed[Odd]:
    history = History(
        table="odd",
        columns={"name": Column("text"), "at": Column("timestamptz", of="timestamp")} | columns,
        key=("name", "at", *key),
        days=1,
    )
    return Feed(
        name="odd",
        summary="",
        topic="odd",
        shape=Odd,
        sample=Odd(name="a", timestamp="2026-01-14T12:00:00Z"),
        key="name",
        history=history,
    )


@pytest.mark.parametrize(
    ("field", "column", "fits"),
    [
        ("text", "text", True),
        ("word", "text", True),
        ("real", "double precision", True),
        ("yes", "boolean", True),
        ("reals", "double precision[]", True),
        ("small", "integer", True),
        ("small", "bigint", True),
        ("whole", "integer", False),
        ("whole", "bigint", False),
        ("text", "uuid", False),
        ("text", "timestamptz", False),
        ("number_or_text", "double precision", False),
        ("anything", "jsonb", False),
        ("anything", "text", False),
    ],
)
def test_what_fits_always(field: str, column: str, fits: bool) -> None:
    assert always_fits(feed({field: Column(column)})) is fits


def test_texts_of_a_key_fit_while_they_are_short() -> None:
    assert always_fits(feed({"short": Column("text"), "word": Column("text")}, "short", "word"))
    assert not always_fits(feed({"long": Column("text")}, "long"))


def test_rules_of_a_feeds_own_say_what_they_like() -> None:
    with_checks = replace(feed({}), checks=lambda _: lambda key, value, record_us: None)  # type: ignore[arg-type,return-value]
    assert always_fits(feed({}))
    assert not always_fits(with_checks)


def test_feeds_of_which_each_message_fits() -> None:
    """What most messages of a city are: a row made in vain costs as much as all else that is checked."""
    fit = {one.name for one in FEEDS if one.history is not None and always_fits(one)}
    assert {"vehicle-locations", "weather-readings"} <= fit


@pytest.mark.parametrize("with_rows", [True, False])
@pytest.mark.parametrize(
    ("fields", "record_us", "refused"),
    [
        ({"whole": 2**40}, NOON_US, True),
        ({"whole": 2**20}, NOON_US, False),
        ({"text": "a\0b"}, NOON_US, False),
        # a table of another kind holds no such time, whoever gave it to the record
        ({}, 1000 << 62, True),
    ],
)
def test_the_same_is_refused(fields: dict[str, Any], record_us: int, refused: bool, with_rows: bool) -> None:
    columns = {"text": Column("text"), "came": Column("timestamptz", of=RECORD_TIME)}
    if "whole" in fields:
        columns["whole"] = Column("integer")
    decoder = FeedDecoder(feed(columns), load_settings(), with_rows=with_rows)
    message = {"name": "a", "timestamp": NOON_US // 1000} | fields
    with pytest.raises(Rejected, match="the table cannot hold") if refused else nullcontext():
        accepted = decoder.check(b"a", msgspec.json.encode(message), record_us)
        assert (accepted.row is None) == (not with_rows and "whole" not in fields)
