"""What comes out of a fetch, whatever is in it: every record once, in order, or a word about why it cannot be read."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from models.records import UNREADABLE, why_unreadable
from tests.batching.raw_batches import CODECS, STAMPED, TRANSACTIONAL, Raw, batch_bytes, marker_bytes
from trafficapp.batching import unpacking as unpacking_module
from trafficapp.batching.record_batches import header_of
from trafficapp.batching.runs import Run
from trafficapp.batching.unpacking import DamagedLog, FetchedBytes, Unpacking

TP = TopicPartition("topic", 3)

#: The class that ours is a kind of, which may stand in its place in aiokafka by now.
AIOKAFKAS = Unpacking.__mro__[1]
codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=list(CODECS))


def unpacking(
    *batches: bytes, position: int = 0, aborted: Sequence[tuple[int, int]] = (), committed: bool = True
) -> Any:
    return Unpacking(TP, FetchedBytes(b"".join(batches)), list(aborted), position, None, None, True, int(committed))


def runs_of(*batches: bytes, run_records: int = 4000, **options: Any) -> list[Run]:
    """All runs that a fetch amounts to; checks what they say of themselves."""
    one = unpacking(*batches, **options)
    runs: list[Run] = []
    due = one.next_fetch_offset
    while not one.is_over:
        runs += one.take(run_records)
    for run in runs:
        assert run.begin == due
        assert run.end > run.begin
        assert len(run) <= run_records
        assert all(run.begin <= record.offset < run.end for record in run)
        assert run.unreadable == sum(why_unreadable(record) is not None for record in run)
        due = run.end
    assert due == one.next_fetch_offset
    return runs


def records_of(*batches: bytes, **options: Any) -> list[Any]:
    """All records of a fetch, the same as runs and as aiokafka gives them."""
    records = [record for run in runs_of(*batches, **options) for record in run]
    options.pop("run_records", None)
    ways = unpacking(*batches, **options)
    assert [told(record) for record in ways] == [told(record) for record in records]
    return records


def told(record: Any) -> tuple[Any, ...]:
    headers = [(name, value) for name, value in record.headers]
    return record.offset, record.timestamp, record.timestamp_type, record.key, record.value, headers


def offsets_of(*batches: bytes, **options: Any) -> list[int]:
    return [record.offset for record in records_of(*batches, **options)]


def values(count: int, first: int = 0) -> list[Raw]:
    return [Raw(b"value %d" % number, b"key", timestamp_delta=number) for number in range(first, first + count)]


BAD_NAME = Raw(b"whole", b"its key", [(b"fine", b"1"), (b"\xff\xfe", b"2")], timestamp_delta=7)


# ---------------------------------------------------------------------- what can be read


@codecs
@pytest.mark.parametrize("count", [1, 2, 16, 17, 500])
@pytest.mark.parametrize("attributes", [0, STAMPED], ids=["producer's time", "broker's time"])
def test_records_come_out_as_they_went_in(codec: int, count: int, attributes: int) -> None:
    sent = [*values(count - 1), Raw(None, None, [(b"a", b"1"), (b"\xc3\xa4", None), (b"", b"")], timestamp_delta=900)]
    fetched = [batch_bytes(sent, base_offset=base, codec=codec, attributes=attributes) for base in (40, 40 + count)]
    records = records_of(*fetched, position=40)
    assert [record.offset for record in records] == list(range(40, 40 + 2 * count))
    assert [record.value for record in records] == [one.value for one in sent] * 2
    assert records[-1].headers == [("a", b"1"), ("ä", None), ("", b"")]
    assert records[-1].key is None
    assert records[-1].timestamp == 1_767_225_600_900
    assert records[-1].timestamp_type == (1 if attributes else 0)
    if attributes and count > 1:
        assert records[0].timestamp == 1_767_225_600_900


@codecs
def test_what_was_read_before_is_left_out(codec: int) -> None:
    fetched = [batch_bytes(values(20), base_offset=base, codec=codec) for base in (0, 20)]
    assert offsets_of(*fetched, position=13) == list(range(13, 40))
    assert offsets_of(*fetched, position=20) == list(range(20, 40))


def test_a_batch_that_was_cut_off_comes_with_the_next_fetch() -> None:
    first, second = batch_bytes(values(3)), batch_bytes(values(3), base_offset=3)
    for length in (1, 11, 40, len(second) - 1):
        assert runs_of(first, second[:length])[-1].end == 3
    assert offsets_of(first, second[:40]) == [0, 1, 2]


def test_offsets_that_were_compacted_away_are_no_fault() -> None:
    sparse = batch_bytes([Raw(offset_delta=1), Raw(offset_delta=4)], base_offset=10, last_offset_delta=6)
    emptied = batch_bytes([], base_offset=17, last_offset_delta=2)
    runs = runs_of(sparse, emptied, batch_bytes(values(2), base_offset=30), position=10)
    assert [record.offset for run in runs for record in run] == [11, 14, 30, 31]
    assert runs[-1].end == 32
    assert offsets_of(sparse, emptied, position=10) == [11, 14]


def test_batches_of_old_versions_are_read() -> None:
    for magic in (0, 1):
        builder = LegacyRecordBatchBuilder(magic=magic, compression_type=0, batch_size=10_000)
        for number in range(3):
            builder.append(number, timestamp=1000 + number, key=b"k", value=b"v%d" % number)
        old = bytes(builder.build())
        assert [record.value for record in records_of(old)] == [b"v0", b"v1", b"v2"]
        assert offsets_of(batch_bytes(values(2)), old.replace(bytes(7) + b"\x00", bytes(7) + b"\x02", 1))[:2] == [0, 1]
        records = records_of(old, batch_bytes(values(2), base_offset=3))
        assert [record.value for record in records] == [b"v0", b"v1", b"v2", b"value 0", b"value 1"]
        assert [record.timestamp for record in records][:3] == ([1000, 1001, 1002] if magic else [0, 0, 0])


# ---------------------------------------------------------------------- what cannot


@codecs
@pytest.mark.parametrize("place", [0, 4, 40])
def test_a_header_whose_name_is_not_utf8_costs_its_own_record(codec: int, place: int) -> None:
    sent = values(41)
    sent[place] = BAD_NAME
    records = records_of(batch_bytes(sent, codec=codec), batch_bytes(values(3), base_offset=41, codec=codec))
    assert [record.offset for record in records] == list(range(44))
    bad = records[place]
    assert "not UTF-8" in str(why_unreadable(bad))
    assert bad.headers[0][0] is UNREADABLE
    assert (bad.key, bad.value, bad.timestamp) == (b"its key", b"whole", 1_767_225_600_007)
    others = [record.value for number, record in enumerate(records) if number != place]
    assert others == [one.value for number, one in enumerate([*sent, *values(3)]) if number != place]
    assert not any(why_unreadable(record) for number, record in enumerate(records) if number != place)


def test_letters_of_a_stranger_do_not_make_a_record_unreadable() -> None:
    (record,) = records_of(batch_bytes([Raw(headers=[(UNREADABLE.encode(), b"reason")])]))
    assert why_unreadable(record) is None


BODIES = {
    "nothing": b"",
    "an attribute": b"\x00",
    "no end": b"\xff" * 20,
    "a key that is too long": b"\x00\x00\x02\x7fk",
    "very many headers": b"\x00\x00\x02\x01\x01\xfe\xff\xff\xff\x0f",
    "fewer headers than none": b"\x00\x00\x02\x01\x01\x03",
    "a header without a name": b"\x00\x00\x02\x01\x01\x02\x01\x01",
    "something behind it": b"\x00\x00\x02\x01\x01\x00zzz",
}


@codecs
@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
def test_a_malformed_record_costs_no_neighbour(codec: int, body: bytes) -> None:
    records = records_of(
        batch_bytes([Raw(b"0"), Raw(body=body), Raw(b"2")], codec=codec), batch_bytes([Raw(b"3")], base_offset=3)
    )
    assert [record.offset for record in records] == [0, 1, 2, 3]
    assert [why_unreadable(record) is not None for record in records] == [False, True, False, False]
    assert [record.value for record in records if not why_unreadable(record)] == [b"0", b"2", b"3"]


def test_behind_a_length_that_cannot_be_read_nothing_can() -> None:
    whole = batch_bytes([Raw(b"0"), Raw(b"1"), Raw(b"2")])
    payload = whole[61:]
    records = records_of(
        batch_bytes([], payload=payload[: len(payload) // 3] + b"\xff" * 12, count=3),
        batch_bytes([Raw(b"3")], base_offset=3),
    )
    assert [record.offset for record in records] == [0, 1, 3]
    assert "the last 2 records" in str(why_unreadable(records[1]))


@codecs
@pytest.mark.parametrize("deltas", [[0, 900, 2], [0, 0, 0], [2, 1, 0], [-5, 1, 2], [0, 2, 2]])
def test_records_that_are_numbered_wrongly_are_numbered_by_their_places(codec: int, deltas: list[int]) -> None:
    sent = [Raw(b"%d" % place, offset_delta=delta) for place, delta in enumerate(deltas)]
    records = records_of(
        batch_bytes(sent, codec=codec, base_offset=7), batch_bytes([Raw(b"3")], base_offset=10), position=7
    )
    assert [(record.offset, record.value) for record in records] == [(7, b"0"), (8, b"1"), (9, b"2"), (10, b"3")]


@pytest.fixture(params=["as the library does", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are read by the library as far as it can, or by hand, as large ones are."""
    if request.param == "by hand":
        monkeypatch.setattr(unpacking_module, "PIECE_BYTES", 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([1, 4], [(1, "ok"), (4, "ok")]),
        # the last offset is taken by the record that is the last one
        ([4, 3], [(0, "elsewhere"), (3, "ok")]),
        ([4, 4], [(0, "elsewhere"), (4, "ok")]),
        ([0, 4, 4], [(0, "ok"), (1, "elsewhere"), (4, "ok")]),
        ([0, 4, 900], [(0, "ok"), (1, "elsewhere"), (2, "elsewhere")]),
        ([0, 3, 3], [(0, "ok"), (3, "ok"), (4, "elsewhere")]),
        ([-1, 4], [(0, "elsewhere"), (4, "ok")]),
    ],
)
def test_each_record_of_a_compacted_batch_has_an_offset_of_its_own(
    deltas: list[int], expected: list[tuple[int, str]]
) -> None:
    sent = [Raw(b"%d" % delta, offset_delta=delta) for delta in deltas]
    records = records_of(
        batch_bytes(sent, base_offset=7, last_offset_delta=4), batch_bytes(values(1), base_offset=12), position=7
    )
    found = [
        (record.offset - 7, "elsewhere" if "lies elsewhere" in (why_unreadable(record) or "") else "ok")
        for record in records
    ]
    assert found == [*expected, (5, "ok")]
    assert all(record.value in (one.value, None) for record, one in zip(records, sent, strict=False))


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_malformed_record_of_a_compacted_batch_costs_no_other_its_offset(place: int) -> None:
    sent = [Raw(b"1", offset_delta=1), Raw(b"3", offset_delta=3), Raw(b"4", offset_delta=4)]
    sent[place] = Raw(body=b"\x00")
    records = records_of(batch_bytes(sent, last_offset_delta=4), batch_bytes(values(1), base_offset=5))
    assert [record.offset for record in records] == [[0, 3, 4, 5], [1, 2, 4, 5], [1, 3, 4, 5]][place]
    assert [why_unreadable(record) is not None for record in records] == [number == place for number in range(4)]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("last_offset_delta", [0, 1, 2])
def test_the_last_offset_stands_for_all_records_that_have_none(last_offset_delta: int) -> None:
    records = records_of(
        batch_bytes(values(4), last_offset_delta=last_offset_delta),
        batch_bytes(values(1), base_offset=last_offset_delta + 1),
    )
    assert [record.offset for record in records] == list(range(last_offset_delta + 2))
    told = why_unreadable(records[last_offset_delta])
    assert told == f"the batch has no offsets for its last {4 - last_offset_delta} records, for which it stands"
    others = [record for record in records if record is not records[last_offset_delta]]
    assert not any(why_unreadable(record) for record in others)


@given(
    st.lists(st.integers(-2, 9), max_size=7),
    st.integers(-1, 7),
    st.sets(st.integers(0, 6), max_size=2),
    st.integers(0, 9),
)
def test_both_ways_give_each_offset_once(
    deltas: list[int], last_offset_delta: int, malformed: set[int], position: int
) -> None:
    sent = [
        Raw(body=b"\x00") if place in malformed else Raw(b"%d" % place, offset_delta=delta)
        for place, delta in enumerate(deltas)
    ]
    end = 2 + last_offset_delta + 1
    fetched = [
        batch_bytes(values(2)),
        batch_bytes(sent, base_offset=2, last_offset_delta=last_offset_delta),
        batch_bytes(values(2), base_offset=end),
    ]
    position = min(position, end)
    ways = []
    for piece_bytes in (unpacking_module.PIECE_BYTES, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(unpacking_module, "PIECE_BYTES", piece_bytes)
            ways.append([told(record)[:1] + told(record)[3:5] for record in records_of(*fetched, position=position)])
    assert ways[0] == ways[1]
    offsets = [one[0] for one in ways[0]]
    assert offsets == sorted(set(offsets))
    assert offsets[-2:] == [end, end + 1]
    inside = [offset for offset in offsets if 2 <= offset < end]
    if position <= 2:
        assert len(inside) == min(len(deltas), last_offset_delta + 1)


@codecs
@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("before_1970_ms", [1, 5, 10**12])
def test_a_record_without_a_time_has_a_number_for_it(codec: int, count: int, before_1970_ms: int) -> None:
    since = -1_767_225_600_000 - before_1970_ms
    sent = [*values(count - 1), Raw(timestamp_delta=since)]
    for bad in ([], [Raw(headers=BAD_NAME.headers, timestamp_delta=since)]):
        records = records_of(batch_bytes([*sent, *bad], codec=codec))
        assert records[count - 1].timestamp == records[-1].timestamp == -before_1970_ms
        assert records[-1].timestamp_type == 0


@pytest.mark.parametrize("codec", [codec for codec in CODECS.values() if codec])
def test_what_cannot_be_decompressed_is_one_record_and_reading_goes_on(codec: int) -> None:
    bad = batch_bytes(values(30), base_offset=2, codec=codec, payload=b"certainly not compressed", attributes=STAMPED)
    fetched = (batch_bytes(values(2)), bad, batch_bytes(values(2), base_offset=32, codec=codec))
    records = records_of(*fetched)
    assert [record.offset for record in records] == [0, 1, 2, 32, 33]
    assert "the 30 records of a batch" in str(why_unreadable(records[2]))
    assert records[2].timestamp == 1_767_225_600_029
    # whoever has read it does not read it again
    assert offsets_of(*fetched[1:], position=3) == [32, 33]


@pytest.mark.parametrize("codec", [codec for codec in CODECS.values() if codec])
def test_a_batch_that_unpacks_to_too_much_is_one_record(codec: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Unpacking, "unpacked_bytes", 20_000)
    large = batch_bytes([Raw(bytes(30_000)), Raw(b"small")], codec=codec)
    records = records_of(large, batch_bytes(values(2), base_offset=2, codec=codec))
    assert [record.offset for record in records] == [0, 2, 3]
    assert "more than 20,000 bytes" in str(why_unreadable(records[0]))
    assert "the 2 records of a batch" in str(why_unreadable(records[0]))


def test_an_unknown_codec_is_told() -> None:
    (record,) = records_of(batch_bytes(values(3), attributes=5))
    assert "no codec 5" in str(why_unreadable(record))


@codecs
def test_bytes_that_do_not_fit_their_checksum_are_a_fault_of_the_log(codec: int) -> None:
    damaged = bytearray(batch_bytes(values(3), base_offset=5, codec=codec))
    damaged[-1] ^= 1
    for read in (runs_of, lambda *batches, **_: list(unpacking(*batches))):
        with pytest.raises(DamagedLog, match="topic-3: bytes of the batch at or behind offset 5 do not fit"):
            read(batch_bytes(values(5)), bytes(damaged))


@given(st.binary(max_size=60), st.sampled_from(list(CODECS.values())), st.integers(0, 5))
def test_any_bytes_in_the_place_of_records_stop_nobody(payload: bytes, codec: int, count: int) -> None:
    stranger = batch_bytes([], base_offset=2, codec=codec, payload=payload, count=count, last_offset_delta=4)
    records = records_of(batch_bytes(values(2)), stranger, batch_bytes(values(2), base_offset=7))
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    assert offsets[:2] == [0, 1]
    assert offsets[-2:] == [7, 8]


@given(st.data())
def test_a_changed_byte_costs_no_other_batch(data: st.DataObject) -> None:
    codec = data.draw(st.sampled_from(list(CODECS.values())))
    whole = bytearray(batch_bytes(values(4), base_offset=2, codec=codec))
    at = data.draw(st.integers(61, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    changed = batch_bytes([], base_offset=2, codec=codec, payload=bytes(whole[61:]), count=4)
    records = records_of(batch_bytes(values(2)), changed, batch_bytes(values(2), base_offset=6))
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    assert offsets[:2] == [0, 1]
    assert offsets[-2:] == [6, 7]


# ---------------------------------------------------------------------- transactions


def test_markers_move_the_reader_on_without_a_record() -> None:
    (run,) = runs_of(marker_bytes(4, producer_id=9), position=4)
    assert (list(run), run.begin, run.end) == ([], 4, 5)
    fetched = [
        part
        for base in range(0, 30, 3)
        for part in (
            batch_bytes(values(2), base_offset=base, attributes=TRANSACTIONAL, producer_id=9),
            marker_bytes(base + 2, producer_id=9),
        )
    ]
    (run,) = runs_of(*fetched)
    assert [record.offset for record in run] == [offset for offset in range(30) if offset % 3 != 2]
    assert (run.begin, run.end) == (0, 30)
    assert len(records_of(*fetched, committed=False)) == 20


@codecs
def test_aborted_records_are_left_out_and_only_they(codec: int) -> None:
    def sent(base: int, producer: int) -> bytes:
        return batch_bytes(values(2), base_offset=base, attributes=TRANSACTIONAL, producer_id=producer, codec=codec)

    fetched = [
        sent(0, 9),  # aborted
        sent(2, 8),
        batch_bytes(values(2), base_offset=4, codec=codec),
        marker_bytes(6, producer_id=9, commits=False),
        sent(7, 9),
        marker_bytes(9, producer_id=8),
        marker_bytes(10, producer_id=9),
        sent(11, 9),  # aborted again
        marker_bytes(13, producer_id=9, commits=False),
    ]
    aborted = [(9, 11), (9, 0)]
    assert offsets_of(*fetched, aborted=aborted) == [2, 3, 4, 5, 7, 8]
    assert runs_of(*fetched, aborted=aborted)[-1].end == 14
    assert offsets_of(*fetched, aborted=aborted, committed=False) == [0, 1, 2, 3, 4, 5, 7, 8, 11, 12]


def test_aborted_records_that_cannot_be_read_are_aborted() -> None:
    bad = batch_bytes([BAD_NAME], attributes=TRANSACTIONAL, producer_id=9)
    runs = runs_of(bad, marker_bytes(1, producer_id=9, commits=False), aborted=[(9, 0)])
    assert [(list(run), run.end) for run in runs] == [([], 2)]


# ---------------------------------------------------------------------- bounds


@codecs
def test_a_run_has_no_more_records_than_it_may(codec: int) -> None:
    runs = runs_of(
        *(batch_bytes(values(25), base_offset=base, codec=codec) for base in range(0, 100, 25)), run_records=7
    )
    assert [len(run) for run in runs] == [7] * 14 + [2]


@codecs
def test_a_run_holds_a_mebibyte_or_one_record(codec: int) -> None:
    sizes = [300_000] * 9 + [2 << 20, 5, 5] + [1 << 20] * 2 + [700_000]
    sent = [Raw(bytes(size)) for size in sizes]
    one_batch = [batch_bytes(sent, codec=codec)]
    single = [batch_bytes([record], base_offset=place, codec=codec) for place, record in enumerate(sent)]
    for fetched in (one_batch, single):
        runs = runs_of(*fetched)
        assert [len(record.value) for run in runs for record in run] == sizes
        for run in runs:
            assert len(run) == 1 or sum(len(record.value) for record in run) <= 1 << 20
        # and they are not smaller than they need be
        assert len(runs) <= 9


def test_no_call_unpacks_everything_of_a_batch_that_holds_much() -> None:
    one = unpacking(batch_bytes([Raw(bytes(100_000)) for _ in range(200)], codec=CODECS["zstd"]))
    calls = []
    while not one.is_over:
        calls.append(one.take(4000))
    assert len(calls) >= 4
    assert max(sum(len(record.value) for run in runs for record in run) for runs in calls) <= 5 << 20
    assert sum(len(run) for runs in calls for run in runs) == 200


@codecs
@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7])
def test_large_records_come_out_as_they_went_in(codec: int, size: int) -> None:
    chance = random.Random(size)
    sent = [
        Raw(chance.randbytes(5), b"a"),
        Raw(chance.randbytes(size), b"b", [(b"name", chance.randbytes(9))], timestamp_delta=3),
        Raw(None, chance.randbytes(size), timestamp_delta=4),
    ]
    fetched = batch_bytes(sent, base_offset=5, codec=codec)
    theirs = AIOKAFKAS(TP, MemoryRecords(fetched), [], 5, None, None, True, 1)
    assert [told(record) for record in records_of(fetched)] == [told(record) for record in theirs]
    assert [record.key for record in records_of(fetched, position=6)] == [sent[1].key, sent[2].key]


def test_very_many_small_records_are_no_long_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking_module, "RUN_BYTES", 10_000)
    runs = runs_of(batch_bytes([Raw(b"", b"")] * 5000, codec=CODECS["gzip"]), run_records=1 << 30)
    assert max(map(len, runs)) <= 10_000 // 8


def test_a_reader_can_go_on_at_any_record_of_a_batch_that_was_taken_in_part() -> None:
    fetched = batch_bytes([Raw(bytes(200_000)) for _ in range(50)], codec=CODECS["lz4"])
    one = unpacking(fetched)
    (*_, last) = one.take(4000)
    assert last.end < 50
    assert offsets_of(fetched, position=last.end) == list(range(last.end, 50))


# ---------------------------------------------------------------------- the quick way gives what the slow one gives


@given(st.data())
def test_the_quick_way_and_the_slow_way_agree(data: st.DataObject) -> None:
    batches, base = [], data.draw(st.integers(0, 3))
    with_bad = data.draw(st.booleans())
    for _ in range(data.draw(st.integers(1, 6))):
        count = data.draw(st.sampled_from([1, 2, 3, 17, 30]))
        codec = data.draw(st.sampled_from([0, 0, 0, *CODECS.values()]))
        attributes = data.draw(st.sampled_from([0, STAMPED]))
        sent = values(count, base)
        if with_bad and data.draw(st.booleans()):
            sent[data.draw(st.integers(0, count - 1))] = BAD_NAME
        batches.append(batch_bytes(sent, base_offset=base, codec=codec, attributes=attributes))
        base += count + data.draw(st.sampled_from([0, 0, 0, 2]))
    # a broker begins with the batch that holds the position
    position = data.draw(st.integers(0, header_of(batches[0]).next_offset - 1))
    records = records_of(*batches, position=position, run_records=data.draw(st.sampled_from([1, 5, 4000])))
    if not with_bad:
        theirs = AIOKAFKAS(TP, MemoryRecords(b"".join(batches)), [], position, None, None, True, 1)
        assert [told(record) for record in theirs] == [told(record) for record in records]
