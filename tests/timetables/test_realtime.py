"""The outgoing GTFS Realtime feeds are right by gtfs-rt-validator, and what comes in is read with care."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.timetables.live import OperationAlert
from tests.timetables import synthetic
from tests.timetables.rig import day_s, fixes_of, standing, timetable_of
from trafficapp.settings.transit import TransitSettings
from trafficapp.timetables.live.alerts import RunAlerts
from trafficapp.timetables.live.documents import live_run
from trafficapp.timetables.operations import Operations
from trafficapp.timetables.realtime_out import RealtimeFeeds


def validated(folder: Path, feed: Path, now_s: float) -> list[dict[str, object]]:
    """What gtfs-rt-validator finds in the three feeds that lie in a folder."""
    options = [f"-{role}={folder / name}" for role, name in (("tu", "trips"), ("vp", "vehicles"), ("sa", "alerts"))]
    at = datetime.fromtimestamp(now_s, UTC).isoformat()
    command = ["-m", "gtfs_rt_validator.cli", "-gtfs", str(feed)]
    for option in options:
        command += option.split("=", 1)
    done = subprocess.run(  # noqa: S603
        [sys.executable, *command, "--at", at, "--out", str(folder / "out")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((folder / "out" / "report.json").read_text())
    return list(report["notices"])


@pytest.mark.parametrize(
    ("hours", "vehicles"),
    [
        # at its end, on its way, very late, at the first stop, and on the loop
        (9.16, [("line-5", 0, 350), ("line-6", 0, 20), ("line-4", 0, 1200), ("line-7", 0, 0), ("eight", 0, 60)]),
        (12.3, [("often", 43_200, 600), ("often", 44_100, 30)]),
        (25.25, [("night", 0, 60)]),
    ],
)
def test_the_validator_finds_nothing_in_our_feeds(
    tmp_path: Path, hours: float, vehicles: list[tuple[str, int, float]]
) -> None:
    """Before the first stop, on the way, by frequency, broken down, at the end, after midnight."""
    feed = synthetic.write(tmp_path / "feed.zip", synthetic.tables())
    timetable = timetable_of(feed)
    now_s = day_s() + hours * 3600
    operations = Operations(timetable, TransitSettings(), now_s - 7200)
    alerts, steps = RunAlerts(operations.schedule), list[OperationAlert]()
    fixes = [
        fix
        for number, (trip_id, start_s, late_s) in enumerate(vehicles)
        for fix in fixes_of(timetable, trip_id, f"v{number}", start_s=start_s, late_s=late_s)
        if fix.time_us / 1e6 <= now_s
    ]
    if hours < 10:
        fixes += list(standing(timetable, "line-3", "v9", now_s))
    for fix in sorted(fixes, key=lambda fix: fix.time_us):
        for event in operations.fix(fix):
            steps += alerts.take(event)
    feeds = RealtimeFeeds(operations.schedule)
    # each as it was told with its newest fix
    runs = [live_run(operations, run, run.at_s, 5400) for run in operations.runs.values()]
    messages = {
        "vehicles": feeds.vehicle_positions(now_s, runs),
        "trips": feeds.trip_updates(now_s, runs),
        "alerts": feeds.alerts(now_s, feeds.notices(steps)),
    }
    # one of the first is at its end, but another one stands
    assert len(messages["vehicles"].entity) == len(vehicles)
    assert bool(messages["alerts"].entity) == (hours < 10)
    for name, message in messages.items():
        (tmp_path / name).write_bytes(message.SerializeToString())
    found = validated(tmp_path, feed, now_s)
    assert not found, json.dumps(found, indent=1)
