"""Silent cameras of one area are one outage, and figures of the city leave out who is not to be believed."""

from __future__ import annotations

import random

from models.cameras.registry import CameraCongestion
from models.city_alerts import CityAlert
from models.timestamps import rfc3339
from trafficapp.analytics.overview import overview
from trafficapp.quality.outages import Followed, SilentCamera, follow
from trafficapp.settings.quality import QualitySettings
from trafficapp.windows.congestion import CongestionScale

SECOND = 1_000_000


def camera(number: int, lat: float, lon: float, since_s: float) -> SilentCamera:
    return SilentCamera(f"camera-{number:02}", f"alert-{number:02}", lat, lon, round(since_s * SECOND))


def thirty() -> list[SilentCamera]:
    return [
        camera(number, 44.50 + number % 6 * 0.005, 11.33 + number // 6 * 0.005, 100 + number) for number in range(30)
    ]


def told(found: Followed) -> CityAlert:
    assert found.told is not None
    return found.told


def test_thirty_cameras_of_one_area_that_fall_silent_together_are_one_outage() -> None:
    settings, area = QualitySettings(), thirty()
    far = [camera(number, 45.0, 11.33, 100) for number in range(40, 44)]
    long_ago = camera(50, 44.5, 11.33, -3600)
    everyone = [*area, *far, long_ago]
    random.Random(1).shuffle(everyone)
    (one,) = follow([], everyone, settings)
    assert one.silent == sorted(camera.camera_id for camera in area)
    assert one.outage.members == {camera.alert_id for camera in area}
    step = told(one)
    assert (step.state, step.revision, step.subject) == ("opened", 0, "camera-00")
    assert step.opened_at == rfc3339(104 * SECOND)  # with the fifth
    assert step.message.startswith("30 cameras of one area are silent: camera-00, ")
    assert step.message.endswith("and 20 more")
    # the same cameras far apart in time are none
    assert follow([], [one._replace(since_us=600 * SECOND * n) for n, one in enumerate(area)], settings) == []


def test_an_outage_goes_on_under_its_id_until_fewer_cameras_are_silent() -> None:
    settings, area = QualitySettings(), thirty()
    (opened,) = follow([], area[:6], settings)
    # some join, which is told when it has become twice as large
    (joined,) = follow([opened.outage], area[:8], settings)
    assert (joined.told, [one.camera_id for one in joined.joined]) == (None, ["camera-06", "camera-07"])
    (grown,) = follow([joined.outage], area[:12], settings)
    assert (told(grown).state, told(grown).revision, told(grown).alert_id) == ("updated", 1, opened.outage.outage_id)
    # nothing new is nothing to tell; those that came back do not end it, nor that the first one did
    (same,) = follow([grown.outage], area[:12], settings)
    assert (same.told, same.joined) == (None, [])
    (less,) = follow([same.outage], area[7:12], settings)
    assert (less.told, less.is_over) == (None, False)
    back = less.outage._replace(back_us=900 * SECOND)
    (over,) = follow([back], area[8:12], settings)
    assert (over.is_over, told(over).state, told(over).resolved_at) == (True, "resolved", rfc3339(900 * SECOND))
    assert told(over).message == (
        "8 of 12 cameras send again; still silent: camera-08, camera-09, camera-10, camera-11"
    )
    # it is over: the four are no outage, and with a fifth a new one
    assert follow([], area[8:12], settings) == []
    (new,) = follow([], [*area[8:12], area[14]], settings)
    assert new.outage.outage_id != opened.outage.outage_id


def test_two_outages_that_meet_are_told_by_the_older_one() -> None:
    settings = QualitySettings(outage_cameras=2)
    west, middle, east = (
        [camera(10 * n + m, 44.5, 11.33 + 0.02 * n, 100 + 10 * n + m) for m in range(2)] for n in range(3)
    )
    first, second = follow([], [*west, *east], settings)
    settings = settings.model_copy(update={"outage_reach_m": 2000.0})
    older, younger = follow([second.outage, first.outage], [*west, *middle, *east], settings)
    assert (older.outage.outage_id, len(older.silent)) == (first.outage.outage_id, 6)
    assert (younger.is_over, younger.silent) == (True, [])


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
