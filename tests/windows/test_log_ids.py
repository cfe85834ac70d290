"""Which log the state of a partition is of, and records of it that cannot be read."""

from __future__ import annotations

import pytest

from models.records import UNREADABLE, unreadable
from tests.windows.entries import RULES, T0_US, Picture, PlainRecord, Seen, records
from tests.windows.logs import silence
from tests.windows.whole import WholeWindows
from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog, TopicMadeAnew

T0_MS = T0_US // 1000
PICTURE = Picture("a", T0_US, 1, (Seen("v"),), "frame", b"a", T0_MS)


def windows(rows: dict[bytes, bytes] | None = None, log: SourceLog = UNTOLD) -> WholeWindows:
    return WholeWindows(0, RULES, rows or {}, log)


def test_rows_tell_which_log_they_are_of_and_serve_for_no_other() -> None:
    before = windows()
    before.apply(records([PICTURE]))
    # rows that do not tell agree with any
    told = dict(windows(dict(before.all_rows()), SourceLog("one", 8)).all_rows())
    for log in (UNTOLD, SourceLog("one", 8), SourceLog("one"), SourceLog("", 8)):
        again = windows(told, log)
        assert (again.applied, dict(again.all_rows())) == (0, told)
    with pytest.raises(TopicMadeAnew):
        windows(told, SourceLog("two", 8))
    with pytest.raises(PartitionsChanged, match="when the topic had 8 partitions; it has 9 now"):
        windows(told, SourceLog("one", 9))


def test_a_record_that_cannot_be_read_is_a_letter_and_costs_its_neighbours_nothing() -> None:
    first, *ticks = records([PICTURE, *silence(T0_MS)])
    bad = unreadable(1, T0_MS, 1, "a header's name is no UTF-8", b"a", b"what could be told")
    for tick in ticks:
        tick.offset += 1
    states = windows()
    outcome = states.apply([first, bad, *ticks])
    (letter,) = outcome.dead_letters
    assert (letter.offset, letter.reason, letter.detail) == (1, "unreadable_record", "a header's name is no UTF-8")
    assert (letter.key, letter.value) == (b"a", b"what could be told")
    assert outcome.rejected == states.state.rejected == {"unreadable_record": 1}
    assert [row.vehicle_count for row in outcome.rows] == [1]
    plain = windows()
    assert plain.apply([first, *ticks]).rows == outcome.rows


def test_a_header_of_the_same_name_says_nothing() -> None:
    spelled = "".join(UNREADABLE)
    (record,) = records([PICTURE])
    named = PlainRecord(0, record.timestamp, record.key, record.value, [(spelled[:1] + spelled[1:], b"no")])
    outcome = windows().apply([named])
    assert (outcome.counted, outcome.dead_letters) == (1, [])
