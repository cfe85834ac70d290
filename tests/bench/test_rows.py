"""Rows of `make bench`: medians over repetitions, ratios of what stood beside each other, and another build."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.__main__ import Row, java_rows, medians, pair_by_pair
from tests.bench.before import ROOT, NoSuchBuild, build_of
from tests.bench.kafka_streams import Missing, prepare


def repetition(now: float, before: float, cpu_before: float = 2.0) -> list[Row]:
    return [
        Row("windows", 100, now, 1.0, "now"),
        Row("windows_before", 100, before, cpu_before, "before"),
        Row("bare_loop", 100, 400.0, 0.0, "bare"),
    ]


def test_figures_are_medians_and_ratios_are_those_of_one_repetition() -> None:
    """The machine was thrice as slow in the second one: that changes no ratio."""
    repetitions = [repetition(190, 100), repetition(60, 30, 6.0), repetition(210, 100)]
    windows, before, bare = medians(repetitions)
    assert (windows.events_per_second, windows.cpu_seconds, windows.runs) == (190, 1.0, 3)
    assert (before.name, before.events_per_second, before.cpu_seconds) == ("windows_before", 100, 2.0)
    assert bare.events == 100
    told = list(pair_by_pair(repetitions))
    assert told[0] == "windows / windows_before: 2.00 × the rate, 0.50 × the CPU time (rates 1.90, 2.00, 2.10)"
    assert told[1].startswith("windows / bare_loop: 0.47 × the rate (rates")
    assert len(told) == 2


def test_the_peer_in_java_gives_a_row_of_all_and_one_of_its_second_half() -> None:
    found = {
        "events": 2_000_000,
        "events_per_second_durable": 170_000,
        "events_per_second_second_half": 235_000,
        "cpu_seconds": 18.004,
        "us_cpu_per_event_second_half": 5.3,
    }
    cold, warm = java_rows(found)
    assert (cold.name, cold.events, cold.events_per_second, cold.cpu_seconds) == (
        "kafka_streams",
        2_000_000,
        170_000,
        18.0,
    )
    assert (warm.name, warm.events, warm.events_per_second, warm.cpu_seconds) == (
        "kafka_streams_warm",
        1_000_000,
        235_000,
        5.3,
    )


def test_a_folder_without_the_peer_is_told(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="--peers FOLDER names another one"):
        prepare(tmp_path)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_another_build_is_there_for_as_long_as_it_is_measured() -> None:
    with build_of("HEAD") as folder:
        assert (folder / "tests" / "bench" / "worker.py").is_file()
    assert not folder.exists()
    with pytest.raises(NoSuchBuild, match="no-such-commit"), build_of("no-such-commit"):
        raise AssertionError("it was checked out")
