"""Silent cameras of one area are one outage, and figures of the city leave out who is not to be believed."""

from __future__ import annotations

import random

from models.cameras.registry import CameraCongestion
from trafficapp.analytics.overview import overview
from trafficapp.quality.outages import SilentCamera, outages_of
from trafficapp.settings.quality import QualitySettings
from trafficapp.windows.congestion import CongestionScale

SECOND = 1_000_000


def camera(number: int, lat: float, lon: float, since_s: float) -> SilentCamera:
    return SilentCamera(f"camera-{number:02}", f"alert-{number:02}", lat, lon, round(since_s * SECOND))


def test_thirty_cameras_of_one_area_that_fall_silent_together_are_one_outage() -> None:
    settings = QualitySettings()
    area = [
        camera(number, 44.50 + number % 6 * 0.005, 11.33 + number // 6 * 0.005, 100 + number) for number in range(30)
    ]
    far = [camera(number, 45.0, 11.33, 100) for number in range(40, 44)]
    long_ago = camera(50, 44.5, 11.33, -3600)
    everyone = [*area, *far, long_ago]
    random.Random(1).shuffle(everyone)
    (one,) = outages_of(everyone, settings)
    assert one.cameras == sorted(camera.camera_id for camera in area)
    assert one.alerts == sorted(camera.alert_id for camera in area)
    assert one.message == "30 cameras of one area are silent: a regional outage"
    # some come back: it goes on under its id; it ends as one
    (less,) = outages_of(area[:5], settings)
    assert (less.outage_id, less.since) == (one.outage_id, one.since)
    assert outages_of(area[:4], settings) == []
    # the same cameras far apart in time are none
    assert outages_of([one._replace(since_us=600 * SECOND * n) for n, one in enumerate(area)], settings) == []


def test_figures_of_the_city_leave_out_unhealthy_cameras_and_say_the_share_of_healthy_ones() -> None:
    def row(name: str, speed: float, vehicles: int) -> CameraCongestion:
        return CameraCongestion(
            camera_id=name,
            congestion_level="LOW",
            congestion_score=0.2,
            vehicle_count=vehicles,
            avg_speed_kmh=speed,
            window_end="2026-01-14T12:00:00Z",
        )

    rows = [row("a", 30.0, 10), row("b", 50.0, 10), row("wrong", 300.0, 80)]
    found = overview(rows, 0, CongestionScale(), unhealthy={"wrong", "gone"})
    assert (found.avg_speed_kmh, found.vehicle_count) == (40.0, 20)
    assert (found.healthy_share, found.unhealthy_cameras) == (0.6667, ["wrong"])
    assert len(found.cameras) == 3
    assert overview(rows, 0, CongestionScale()).avg_speed_kmh == 248.0
    assert overview([], 0, CongestionScale()).healthy_share is None
