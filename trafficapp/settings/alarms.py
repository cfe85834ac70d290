"""The settings about alarm management; part of `trafficapp.settings`."""

from __future__ import annotations

from pydantic import Field

from trafficapp.settings.sections import Seconds, Section


class AlarmSettings(Section):
    """What operators may be spared, and how alarms are measured."""

    most_shelf_hours: float = Field(
        24.0,
        gt=0,
        le=1440,
        description="Longest that an alarm can be shelved, in hours, so that nothing is forgotten on a shelf.",
    )
    suppress_unhealthy: bool = Field(
        True,
        description="Whether alerts from the figures of a camera that is out of order are suppressed: its open outage "
        "alert is told instead.",
    )
    fold_cameras: bool = Field(
        True,
        description="Whether alerts of traffic of cameras that stand on a congestion event are folded into it.",
    )
    look_seconds: Seconds = Field(
        1.0, description="How often the role live looks for what is shelved, suppressed or folded, in seconds."
    )
