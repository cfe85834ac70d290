"""What always holds of the offsets at which rounds stand, whoever died while it wrote which row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trafficapp.engine.state_rows import offset_of, partition_key, state_row
from trafficapp.forecast.city.rounds import Rounds
from trafficapp.forecast.city.untold import Told, untold_rows

PARTITION = partition_key(0)
Rows = dict[bytes, bytes]


def told(offset: int, count: int) -> list[Told]:
    """What a round raises at an offset."""
    return [(b"road", b'{"event_id":"%d-%d"}' % (offset, number)) for number in range(count)]


def taken_over(rows: Rows) -> Rounds:
    return Rounds(rows, offset_of(rows[PARTITION]) if PARTITION in rows else -1, [])


def rows_of(rounds: Rounds, roads: list[int]) -> list[tuple[bytes, bytes]]:
    """The rows of a round in the order in which they are written; the roads as of records that it covers."""
    of_roads = [(b"road-%d" % number, state_row(offset, ())) for number, offset in enumerate(roads)]
    return [*rounds.rows(), *of_roads, (PARTITION, state_row(rounds.applied, ()))]


@given(st.lists(st.one_of(st.integers(-1, 40), st.just("round"), st.just("prepare"))))
def test_a_record_is_taken_once_and_owed_a_round_until_one_is_made(plan: list[int | str]) -> None:
    rounds = Rounds({}, -1, [])
    taken, owed = [-1], False
    for what in plan:
        if isinstance(what, int):
            is_new = what > taken[-1]
            assert rounds.take(what) == is_new
            if is_new:
                taken.append(what)
                owed = True
                assert rounds.rows() == []
        elif what == "round":
            raised = told(rounds.applied, len(taken) % 3)
            rounds.made(raised)
            owed = False
            assert rounds.notifications == raised
            assert rounds.rows() == untold_rows(rounds.applied, raised)
        else:
            before = rounds.rows()
            rounds.prepare()
            assert rounds.rows() == before
        assert rounds.applied == taken[-1]
        assert rounds.is_owed == owed
        assert not rounds.is_catching_up or rounds.applied == -1


@given(
    st.integers(0, 5),
    st.integers(1, 5),
    st.integers(0, 3),
    st.lists(st.integers(0, 10), max_size=3),
    st.integers(0, 8),
    st.booleans(),
)
def test_who_goes_on_from_rows_of_an_unfinished_round(
    first: int, more: int, raised: int, roads: list[int], written: int, prepared: bool
) -> None:
    owner = Rounds({}, -1, [])
    owner.take(first)
    owner.made(told(first, 2))
    rows = dict(rows_of(owner, []))
    last = first + more
    for offset in range(first + 1, last + 1):
        owner.take(offset)
    owner.made(told(last, raised))
    if prepared:
        owner.prepare()
    of_round = rows_of(owner, [min(road, last) for road in roads])
    arrived = of_round[:written]
    rows |= dict(arrived)
    successor = taken_over(rows)

    is_finished = len(arrived) == len(of_round)
    assert successor.applied == (last if is_finished else first)
    # what this round raised is known as soon as any row says that it was raised
    if len(arrived) > len(owner.rows()):
        assert set(told(last, raised)) <= set(successor.notifications)
    assert not successor.is_owed
    # it catches up for as long as any row that it goes on from speaks of what is yet to come
    spoken_of = max(offset_of(row) for key, row in rows.items() if key != PARTITION)
    for offset in range(successor.applied + 1, last + 3):
        assert successor.is_catching_up == (successor.applied <= spoken_of)
        assert successor.take(offset)
        assert successor.is_owed
    assert not successor.is_catching_up


@given(st.integers(0, 5), st.integers(1, 5))
def test_what_was_raised_by_a_dead_owner_is_written_again_only_where_its_round_was(first: int, more: int) -> None:
    last = first + more
    rows = {PARTITION: state_row(first, ())} | dict(untold_rows(last, told(last, 2)))
    successor = taken_over(rows)
    for offset in range(first + 1, last + 3):
        successor.prepare()
        assert successor.rows() == (untold_rows(last, told(last, 2)) if successor.applied == last else [])
        successor.take(offset)


def test_rows_from_before_what_was_raised_had_rows_of_its_own() -> None:
    raised = told(3, 1)
    assert Rounds({}, 3, raised).notifications == raised
    assert Rounds({}, 3, raised).rows() == []
    newer = dict(untold_rows(3, told(3, 2)))
    assert Rounds(newer, 3, raised).notifications == told(3, 2)
