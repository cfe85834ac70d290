"""Which log a state is of: whatever differs is another one, and what is not told agrees with everything."""

from __future__ import annotations

import pytest

from trafficapp.engine.state_rows import UNTOLD, PartitionsChanged, SourceLog, TopicMadeAnew, continued

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
