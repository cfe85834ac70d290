from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.stores.measures.sketches import counts_of, merged, packed
from trafficapp.windows.speed_sketch import add_counts, counted

COUNTS = st.dictionaries(st.integers(0, 1023), st.integers(1, 100_000), max_size=40)


@given(st.lists(COUNTS, max_size=6))
def test_sketches_add_up_merged_or_one_behind_another(sketches: list[dict[int, int]]) -> None:
    total: dict[int, int] = {}
    for counts in sketches:
        add_counts(total, counts)
    kept = [packed(counts) for counts in sketches]
    assert counts_of(b"".join(kept)) == counts_of(merged(kept)) == total
    # the same bytes however they came together
    assert merged([merged(kept[:2]), *kept[2:]]) == packed(total)


@given(st.lists(st.integers(0, 1023), max_size=60))
def test_buckets_say_what_their_counts_say(buckets: list[int]) -> None:
    assert packed(sorted(buckets)) == packed(counted(buckets))


@pytest.mark.parametrize("counts", [{-1: 1}, {40_000: 1}, {3: -1}, {3: 2**31}])
def test_what_is_no_sketch_is_refused(counts: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="no sketch of speeds"):
        packed(counts)
