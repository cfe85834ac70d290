"""Alerts of any log against an oracle that walks back through all windows for every question."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings

from tests.alerts.logs import SHORT, Writer, as_right, writers
from tests.alerts.test_any_order_of_runs import PATIENT
from tests.alerts.windows import fresh


@given(writers())
@settings(PATIENT, max_examples=200)
def test_steps_are_those_of_the_oracle(writer: Writer) -> None:
    found = Counter(map(as_right, fresh(**SHORT).apply(writer.log)))
    right = Counter(writer.right_steps())
    assert found - right == Counter()
    assert right - found == Counter()
