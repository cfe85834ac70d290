"""A time falls into the window that cutting it says, however it is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.timestamps import EPOCH, from_epoch_us, rfc3339
from tests.windows.entries import SECOND_US, Form, Picture, Seen, fresh, records

SIZE_US = 5 * SECOND_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_2000_US, _2100_US = 946_684_800 * SECOND_US, 4_102_444_800 * SECOND_US

#: The last and the first microseconds of windows, and others.
instants = st.integers(_2000_US // SIZE_US, _2100_US // SIZE_US).flatmap(
    lambda window: st.sampled_from([-1, 0, 1, -300_000, 2_345_678]).map(lambda offset: window * SIZE_US + offset)
)
beyond = st.integers(0, 999).map(lambda nanoseconds: f"{nanoseconds:03}")
forms: st.SearchStrategy[Form] = st.sampled_from(["nested", "flat", "frame"])


def window_of(written: str, form: Form = "nested") -> int:
    """Where a detection counts whose time is written so, as microseconds since the epoch."""
    record_ms = _2100_US // 1000
    picture = Picture("a", 0, 1, (Seen("v", speed_kmh=1.0),), form, b"a", record_ms, written=written)
    windows = fresh()
    assert windows.apply(records([picture])).counted == 1, written
    (start_us,) = windows.cameras.states[b"a"].windows
    return int(start_us)


def cut(time_us: int) -> int:
    return time_us // SIZE_US * SIZE_US


def text(time_us: int, decimals: str, minutes: int = 0, separator: str = "T", zulu: str = "") -> str:
    """A time in ISO 8601; what is beyond microseconds is given."""
    local = (_EPOCH + timedelta(microseconds=time_us)).astimezone(timezone(timedelta(minutes=minutes)))
    offset = local.isoformat()[-6:]
    return json.dumps(f"{local:%Y-%m-%d}{separator}{local:%H:%M:%S}.{local:%f}{decimals}{zulu or offset}")


@given(instants, beyond, forms, st.sampled_from([0, 60, 330, -210, 720]), st.sampled_from(["T", " ", "t"]))
@example(1_700_000_004_999_999, "9", "nested", 0, "T")
@example(1_700_000_004_999_999, "999", "flat", 0, "T")
@example(1_700_000_004_999_999, "500", "frame", 0, "T")
def test_as_text_with_six_to_nine_decimals(
    time_us: int, nanoseconds: str, form: Form, minutes: int, separator: str
) -> None:
    right = cut(time_us)
    for decimals in ("", nanoseconds[:1], nanoseconds[:2], nanoseconds, nanoseconds + "123"):
        assert window_of(text(time_us, decimals, minutes, separator), form) == right
        assert window_of(text(time_us, decimals, zulu="Z"), form) == right


@given(instants, forms)
@example(1_700_000_004_999_999, "nested")
@example(1_700_000_005_000_000, "flat")
def test_as_epoch_numbers_with_microseconds(time_us: int, form: Form) -> None:
    right = cut(time_us)
    second, microsecond = divmod(time_us, SECOND_US)
    millisecond, rest = divmod(time_us, 1000)
    assert window_of(f"{second}.{microsecond:06}", form) == right
    assert window_of(f"{millisecond}.{rest:03}", form) == right
    assert window_of(repr(time_us / 1e6), form) == right
    assert window_of(f"{second}.{microsecond:06}e0", form) == right


@given(instants, forms)
@example(1_700_000_004_999_000, "nested")
def test_as_whole_epoch_numbers(time_us: int, form: Form) -> None:
    second, millisecond = time_us // SECOND_US, time_us // 1000
    for written in (f"{second}", f"{second}.0", f"{second}.000000000"):
        assert window_of(written, form) == cut(second * SECOND_US)
    for written in (f"{millisecond}", f"{millisecond}.0"):
        assert window_of(written, form) == cut(millisecond * 1000)


@given(instants, beyond, forms)
@example(1_700_000_004_999_999, "800", "nested")
@example(1_700_000_004_999_999, "900", "nested")
def test_as_epoch_numbers_with_more_decimals(time_us: int, nanoseconds: str, form: Form) -> None:
    """A JSON number is a double: what is cut is the shortest decimal that is the same double."""
    second, microsecond = divmod(time_us, SECOND_US)
    millisecond, rest = divmod(time_us, 1000)
    for decimals in (nanoseconds[:1], nanoseconds[:2], nanoseconds):
        for written, unit_us in (
            (f"{second}.{microsecond:06}{decimals}", SECOND_US),
            (f"{millisecond}.{rest:03}{decimals}", 1000),
        ):
            shortest = Decimal(repr(float(written)))
            assert window_of(written, form) == cut(int(shortest * unit_us))


@pytest.mark.parametrize("decimals", ["123456junkZ", "1234567?+01:00", "123456 5", "123456Z1"])
def test_what_is_no_time_is_refused(decimals: str) -> None:
    written = f'"2023-11-14T22:13:20.{decimals}"'
    picture = Picture("a", 0, 1, (Seen("v"),), "nested", b"a", _2100_US // 1000, written=written)
    assert fresh().apply(records([picture])).rejected == {"invalid_timestamp": 1}


@pytest.mark.parametrize("form", ["nested", "flat", "frame"])
@pytest.mark.parametrize("written", ['"5139-01-01T00:00:00Z"', '"9998-12-31T00:00:00.5Z"', "100000000000000"])
def test_years_beyond_5138_are_the_future_in_any_form(form: Form, written: str) -> None:
    picture = Picture("a", 0, 1, (Seen("v"),), form, b"a", _2100_US // 1000, written=written)
    assert fresh().apply(records([picture])).rejected == {"future": 1}


def test_a_number_of_that_size_is_milliseconds() -> None:
    assert window_of("100000000000") == cut(100_000_000 * SECOND_US)
    assert window_of("1e11") == cut(100_000_000 * SECOND_US)


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from([1, 1000, 1_000_000]))
def test_times_are_written_as_python_writes_them(moment: datetime, to_us: int) -> None:
    at = moment.replace(microsecond=moment.microsecond // to_us * to_us)
    time_us = (at - EPOCH) // timedelta(microseconds=1)
    assert from_epoch_us(time_us) == at
    assert rfc3339(time_us) == at.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("time_us", [1 << 62, -(1 << 62), 1000 << 62])
def test_a_time_of_no_calendar_is_written_as_a_number(time_us: int) -> None:
    assert rfc3339(time_us) == f"{time_us} us"
