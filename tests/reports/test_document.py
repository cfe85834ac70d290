from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest
from pypdf import PdfReader

from models.cameras.analytics import (
    AnalyticsMetrics,
    HourFigures,
    IncidentCounts,
    SegmentFigures,
    SeverityCount,
    TrendHour,
)
from models.roads.measures import Bottleneck, RangeBottlenecks
from trafficapp.reports.axes import nice_top
from trafficapp.reports.document import NO_ALERTS, NO_BOTTLENECKS, NO_WINDOWS, pdf
from trafficapp.reports.rendering import ReportFailed, render
from trafficapp.reports.report import Report

START = datetime(2026, 10, 24, 22, tzinfo=UTC)


def report(
    hours: int = 25, windows: int = 1000, alerts: int = 3, camera_id: str = "cam_01", **changes: object
) -> Report:
    """A report on as many hours; with no windows nothing is known of any hour."""
    some = windows > 0
    trends = []
    for n in range(hours):
        start = (START + n * timedelta(hours=1)).isoformat()
        known = some and n % 7 != 3
        trends.append(
            TrendHour(start, start, 40 if known else 0, 3.0 if known else None, 40.0 if known else None,
                      0.4 if known else None, 1.0)
        )  # fmt: skip
    metrics = AnalyticsMetrics(
        range_start=START.isoformat(),
        range_end=(START + timedelta(hours=hours)).isoformat(),
        avg_congestion_score=0.4321 if some else None,
        peak_hour_distribution=[HourFigures(hour, 3.0, 0.4) for hour in range(5, 23)] if some else [],
        top_segments=[segment(camera_id)] if some else [],
        incident_pie=[SeverityCount("EMERGENCY", 0), SeverityCount("CRITICAL", 0), SeverityCount("WARNING", alerts)],
        start=START.isoformat(),
        end=(START + timedelta(hours=hours)).isoformat(),
        average_congestion=0.4321 if some else None,
        average_speed_kmh=40.0 if some else None,
        peak_hour_trends=[],
        incidents=IncidentCounts(alerts, alerts, 0),
    )
    values: dict[str, object] = {
        "generated_at": "2026-11-01T00:00:00Z", "tz": "Europe/Rome", "zone": None, "cameras": int(some),
        "windows": windows, "avg_vehicle_count": 3.0 if some else None, "avg_speed_kmh": 40.0 if some else None,
        "severe_minutes": 17.5, "high_minutes": 30.0, "metrics": metrics, "trends": trends,
    }  # fmt: skip
    return Report(**(values | changes))  # type: ignore[arg-type]


def segment(camera_id: str) -> SegmentFigures:
    return SegmentFigures(
        camera_id=camera_id,
        road_segment="Via Emilia",
        avg_congestion_score=0.4321,
        severe_minutes=17.5,
        average_congestion=0.4321,
        average_queue_length=2.0,
        incident_count=4,
    )


def text_of(document: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(document)).pages)


def test_it_says_what_it_is_about() -> None:
    text = text_of(pdf(report(zone="Centro <b>&")))
    for words in (
        *("25 October 2026 00:00 – 26 October 2026 00:00 (Europe/Rome)", "in zone Centro <b>&", "0.4321", "40.0"),
        *("Mean speed, km/h", "Mean congestion score", "Profile of the day", "cam_01", "Via Emilia", "17.5"),
        *("local time, Europe/Rome", "hour of the day, Europe/Rome"),
        *("Alerts by severity", "WARNING", "page 1 of 2", "page 2 of 2", "01 November 2026 01:00:00"),
    ):
        assert words in text


@pytest.mark.parametrize(("windows", "alerts"), [(0, 0), (0, 5), (9, 0)])
def test_what_there_is_nothing_of_is_said(windows: int, alerts: int) -> None:
    text = text_of(pdf(report(windows=windows, alerts=alerts)))
    assert (NO_WINDOWS in text) == (windows == 0)
    assert (NO_ALERTS in text) == (alerts == 0)


def test_bottlenecks_are_told_or_that_there_was_none() -> None:
    one = Bottleneck(
        road_id="b", road_name="Via <b>", latitude=None, longitude=None, delay_vehicle_hours=12.34, activations=2,
        active_minutes=95.0, longest_minutes=60.0, mean_extent_m=410.0, max_extent_m=1250.0,
        first_active="2026-10-25T07:00:00Z", last_active="2026-10-25T09:00:00Z", roads=["b"],
    )  # fmt: skip
    times = {"range_start": "2026-10-24T22:00:00Z", "range_end": "2026-10-25T22:00:00Z"}
    some = RangeBottlenecks(**times, jam_share=0.4, delay_method="", bottlenecks=[one])
    text = text_of(pdf(report(bottlenecks=some)))
    for words in ("Via <b>", "12.3", "95", "60", "410 / 1,250", "below 40 % of free flow"):
        assert words in text
    none = RangeBottlenecks(**times, jam_share=0.4, delay_method="", bottlenecks=[])
    assert NO_BOTTLENECKS in text_of(pdf(report(bottlenecks=none)))
    assert "Bottlenecks" not in text_of(pdf(report()))


@pytest.mark.parametrize("hours", [1, 2, 30, 24 * 30, 24 * 400])
def test_any_length_can_be_printed(hours: int) -> None:
    assert len(PdfReader(io.BytesIO(pdf(report(hours)))).pages) == 2


def test_a_name_of_any_length_can_be_printed() -> None:
    assert "cccc" in text_of(pdf(report(camera_id="c" * 256)))


async def test_it_is_made_in_a_process_of_its_own() -> None:
    assert "Traffic report" in text_of(await render(report()))
    with pytest.raises(ReportFailed, match="cannot be printed"):
        await render(report(tz="Europe/Atlantis"))


@pytest.mark.parametrize(("value", "top", "step"), [(0, 1, 0.25), (59, 60, 20), (0.31, 0.4, 0.1), (1234, 1500, 500)])
def test_axes_end_at_round_numbers(value: float, top: float, step: float) -> None:
    assert nice_top(value) == pytest.approx((top, step))
