"""Decimals that are cut to what anybody can use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trafficapp.movement.decimals import hundredths, tenths

NUMBERS = st.floats(0, 1e9)


@given(NUMBERS)
def test_a_number_is_the_nearest_with_its_decimals(number: float) -> None:
    # a sum with a half is itself not exact
    assert abs(tenths(number) - number) <= 0.05 + number * 1e-15
    assert abs(hundredths(number) - number) <= 0.005 + number * 1e-15
    assert tenths(number) == round(tenths(number), 1)
    assert hundredths(number) == round(hundredths(number), 2)
