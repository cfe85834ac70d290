"""Alerts about cameras that send nothing."""

from __future__ import annotations

from trafficapp.alerts.silence import Silence, came_back, fell_silent, was_forgotten

_RAISED_US = 1_700_000_060_000_000
_SILENCE = Silence(_RAISED_US, 1_700_000_000_000_000, 60_000_000, 60_000_000, "0 17")


def test_an_alert_ends_when_the_record_says_and_never_before_it_began() -> None:
    """The broker's clock may go back."""
    opened = fell_silent("cam", _SILENCE)
    assert (opened.action, opened.triggered_at, opened.resolved_at) == ("opened", "2023-11-14T22:14:20Z", None)
    for end in (came_back, was_forgotten):
        for record_us, ended in ((_RAISED_US + 5_000_000, "22:14:25Z"), (_RAISED_US - 5_000_000, "22:14:20Z")):
            step = end("cam", _SILENCE, record_us)
            assert (step.id, step.revision, step.action) == (opened.id, 2, "resolved")
            assert step.resolved_at == step.updated_at == f"2023-11-14T{ended}"
