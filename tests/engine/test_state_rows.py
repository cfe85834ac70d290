"""Which log a state is of: whatever differs is another one, and what is not told agrees with everything.

And how rows stand in the changelog.
"""

from __future__ import annotations

import pytest

from trafficapp.engine.state_rows import (
    UNTOLD,
    NoStateRow,
    PartitionsChanged,
    SourceLog,
    TopicMadeAnew,
    as_record,
    continued,
    forgotten_row,
    row_of,
    state_row,
)

KEPT = SourceLog("m", 8)


@pytest.mark.parametrize("topic_id", ["a", "z"])
def test_any_other_id_is_a_topic_made_anew(topic_id: str) -> None:
    with pytest.raises(TopicMadeAnew):
        continued(KEPT, SourceLog(topic_id, 8))


@pytest.mark.parametrize("partitions", [7, 9])
def test_more_partitions_are_other_partitions_and_so_are_fewer(partitions: int) -> None:
    with pytest.raises(PartitionsChanged):
        continued(KEPT, SourceLog("m", partitions))


@pytest.mark.parametrize("log", [UNTOLD, KEPT, SourceLog("m"), SourceLog("", 8)])
def test_what_is_not_told_is_kept_as_it_was(log: SourceLog) -> None:
    assert continued(KEPT, log) == continued(log, KEPT) == KEPT


@pytest.mark.parametrize("row", [state_row(7, {"a": 1}), state_row(7, None), forgotten_row(7)])
def test_a_row_comes_out_of_the_changelog_as_it_went_in(row: bytes) -> None:
    (key, value), headers = as_record(b"a", row)
    assert (key, row_of(value, headers)) == (b"a", row)


def test_what_is_forgotten_is_a_tombstone_that_says_what_it_covers() -> None:
    assert as_record(b"a", forgotten_row(7)) == ((b"a", None), (("forgotten-at", forgotten_row(7)),))
    assert as_record(b"a", state_row(7, 1)) == ((b"a", state_row(7, 1)), ())


def test_a_tombstone_that_says_nothing_holds_no_row_and_is_no_fault() -> None:
    assert row_of(None, [("another", b"12345678")]) is None


@pytest.mark.parametrize("value", [b"", b"12345678"])
def test_a_row_without_a_state_is_none(value: bytes) -> None:
    with pytest.raises(NoStateRow, match="no state"):
        row_of(value, [("forgotten-at", forgotten_row(7))])


@pytest.mark.parametrize("covered", [None, b"", b"1234567", b"123456789"])
def test_a_tombstone_that_covers_no_offset_is_none(covered: bytes | None) -> None:
    with pytest.raises(NoStateRow, match="as of when"):
        row_of(None, [("forgotten-at", covered)])
