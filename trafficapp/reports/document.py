"""A report laid out on A4."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from trafficapp.analytics.local_hours import time_zone
from trafficapp.reports import charts
from trafficapp.reports.axes import BOLD, FONT
from trafficapp.reports.report import Report
from trafficapp.reports.surfaces import surface_picture

MARGIN = 18 * mm
#: Frames have a padding of 6 points.
WIDTH = A4[0] - 2 * MARGIN - 12

_TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=19, leading=24)
_HEADING = ParagraphStyle("heading", fontName=BOLD, fontSize=12, leading=15, spaceBefore=10, spaceAfter=4)
_TEXT = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=12)
_CELL = ParagraphStyle("cell", fontName=FONT, fontSize=8.5, leading=10.5, splitLongWords=1)
_RIGHT = ParagraphStyle("right", _CELL, alignment=2)
_KEY = ParagraphStyle("key", fontName=BOLD, fontSize=14, leading=17, alignment=1)
_KEY_NAME = ParagraphStyle("key name", fontName=FONT, fontSize=7.5, leading=9, alignment=1)
_KEY_SMALL = ParagraphStyle("small key", _KEY, fontSize=11, leading=14)
_RULE, _HEAD = HexColor("#b0b0b0"), HexColor("#e9eef4")

#: Lanes that are printed at most.
MOST_LANES = 120

NO_WINDOWS = "No windows in this range."
NO_BOTTLENECKS = "No road was a bottleneck in this range."
NO_ALERTS = "No alerts in this range."


def pdf(report: Report) -> bytes:
    """Lay a report out.

    Returns:
        the PDF; its fonts know Latin letters.
    """
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target, pagesize=A4, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
        title=f"Traffic report {_range(report)}", author="trafficapp", lang="en",
    )  # fmt: skip
    story = [*_head(report), *_traffic(report), *_speeds(report), *_bottlenecks(report), *_corridors(report)]
    story += _alerts(report)
    document.build(story, canvasmaker=_numbered(f"Traffic report · {_range(report)}"))
    return target.getvalue()


def _head(report: Report) -> list[Flowable]:
    facts = [
        ("Range", f"{_range(report)} ({report.tz})"),
        (
            "Cameras",
            f"{report.cameras:,} with windows" + (f", in zone {report.zone}" if report.zone else ", all zones"),
        ),
        ("Generated", f"{_local(report.generated_at, report.tz):%d %B %Y %H:%M:%S} ({report.tz})"),
    ]
    rows = [[Paragraph(f"<b>{name}</b>", _TEXT), Paragraph(escape(value), _TEXT)] for name, value in facts]
    table = Table(rows, colWidths=[24 * mm, WIDTH - 24 * mm], hAlign="LEFT")
    table.setStyle(TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 1)]))
    return [Paragraph("Traffic report", _TITLE), Spacer(1, 4), table, Spacer(1, 8), _key_figures(report)]


def _key_figures(report: Report) -> Table:
    score = report.metrics.avg_congestion_score
    alerts = sum(part.count for part in report.metrics.incident_pie)
    figures = [
        ("mean congestion score", _or_dash(score, "{:.4f}")),
        ("mean speed, km/h", _or_dash(report.avg_speed_kmh, "{:.1f}")),
        ("vehicles in a window, mean", _or_dash(report.avg_vehicle_count, "{:.1f}")),
        ("camera minutes at SEVERE", f"{report.severe_minutes:,.0f}"),
        ("camera minutes at HIGH", f"{report.high_minutes:,.0f}"),
        ("alerts", f"{alerts:,}"),
    ]
    cells = [[Paragraph(value, _KEY) for _, value in figures], [Paragraph(name, _KEY_NAME) for name, _ in figures]]
    table = Table(cells, colWidths=[WIDTH / len(figures)] * len(figures))
    table.setStyle(
        TableStyle(
            [
                ("BOX", (0, 0), (-1, -1), 0.6, _RULE),
                ("INNERGRID", (0, 0), (-1, -1), 0.0, HexColor("#ffffff")),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _windows(report: Report) -> str:
    """How many windows the figures are of, and which share of all they are."""
    share = report.metrics.healthy_share
    if share is None or share == 1:
        return f"{report.windows:,} windows of all cameras"
    return f"{report.windows:,} windows, {share:.2%} of all: those of cameras that were out of order are left out"


def _traffic(report: Report) -> list[Flowable]:
    if not report.windows:
        return [Paragraph("Traffic", _HEADING), Paragraph(NO_WINDOWS, _TEXT)]
    over_time, hours = charts.over_time(report.trends, WIDTH, report.tz)
    each = "each point is the mean of an hour" if hours == 1 else f"each point is the mean of {hours} hours"
    segments = report.metrics.top_segments
    parts: list[Flowable] = [
        _section("Speed and congestion over time", over_time, f"{_windows(report)}; {each}."),
        _section("Profile of the day", charts.hours_of_day(report.metrics.peak_hour_distribution, WIDTH, report.tz)),
    ]
    if segments:
        rows = [
            (segment.camera_id, segment.road_segment or "–", f"{segment.avg_congestion_score:.4f}",
             f"{segment.severe_minutes:,.1f}")
            for segment in segments
        ]  # fmt: skip
        table = _table(("Camera", "Road segment", "Mean score", "SEVERE, min"), rows, (0.3, 0.38, 0.15, 0.17))
        parts.append(_section("Most congested cameras", charts.top_segments(segments, WIDTH)))
        parts.append(table)
    return parts


def _speeds(report: Report) -> list[Flowable]:
    """Percentile speeds and flows; of a camera with one lane its lane would say the same again."""
    known = [lane for lane in report.lanes if lane.speeds or lane.flow_vehicles_per_hour is not None]
    if not known:
        return []
    rows = [
        (
            lane.camera_id,
            "all" if lane.lane_id is None else str(lane.lane_id),
            *(
                _or_dash(speed, "{:.1f}")
                for speed in (lane.p15_speed_kmh, lane.p50_speed_kmh, lane.p85_speed_kmh, lane.p95_speed_kmh)
            ),
            _or_dash(lane.flow_vehicles_per_hour, "{:,.0f}"),
            _or_dash(lane.headway_seconds, "{:.1f}"),
        )
        for lane in known[:MOST_LANES]
    ]
    head = ("Camera", "Lane", "15th", "50th", "85th", "95th", "Vehicles/h", "Headway, s")
    note = "Percentiles of speeds in km/h, at most 1 % from exact ones."
    if len(known) > MOST_LANES:
        note += f" The first {MOST_LANES} of {len(known)}; the others are in the CSV of /api/analytics/lanes."
    table = _table(head, rows, (0.3, 0.08, 0.09, 0.09, 0.09, 0.09, 0.13, 0.13), numbers=6)
    return [Paragraph("Speeds and flows", _HEADING), Paragraph(note, _TEXT), Spacer(1, 4), table]


def _bottlenecks(report: Report) -> list[Flowable]:
    if report.bottlenecks is None:
        return []
    found = report.bottlenecks.bottlenecks
    if not found:
        return [Paragraph("Bottlenecks", _HEADING), Paragraph(NO_BOTTLENECKS, _TEXT)]
    rows = [
        (
            one.road_name,
            f"{one.delay_vehicle_hours:,.1f}",
            f"{one.activations:,}",
            f"{one.active_minutes:,.0f}",
            f"{one.longest_minutes:,.0f}",
            f"{one.mean_extent_m:,.0f} / {one.max_extent_m:,.0f}",
        )
        for one in found
    ]
    head = ("Road", "Delay, vehicle-h", "Times", "Active, min", "Longest, min", "Queue, mean / longest, m")
    note = (
        f"Roads that stay below {100 * report.bottlenecks.jam_share:.0f} % of free flow for 25 of 35 minutes while no "
        "road ahead of them does, those first that cost most. The delay is estimated (Greenshields), not counted."
    )
    table = _table(head, rows, (0.34, 0.14, 0.09, 0.12, 0.12, 0.19), numbers=5)
    return [Paragraph("Bottlenecks", _HEADING), Paragraph(note, _TEXT), Spacer(1, 4), table]


def _corridors(report: Report) -> list[Flowable]:
    clock = time_zone(report.tz)
    parts: list[Flowable] = []
    for surface, ranged in zip(report.surfaces, report.reliability, strict=True):
        if not surface.roads or not surface.starts:
            continue
        found = ranged.reliability
        figures = [
            ("length", f"{found.length_m:,.0f} m"),
            ("mean travel time", _or_dash(found.mean_seconds, "{:,.0f} s")),
            ("at free flow", f"{found.free_flow_seconds:,.0f} s"),
            ("travel time index", _or_dash(found.travel_time_index, "{:.2f}")),
            ("planning time index", _or_dash(found.planning_time_index, "{:.2f}")),
            ("buffer index", _or_dash(found.buffer_index, "{:.2f}")),
            ("LOTTR", _or_dash(found.lottr, "{:.2f}")),
        ]
        cells = [
            [Paragraph(value, _KEY_SMALL) for _, value in figures],
            [Paragraph(name, _KEY_NAME) for name, _ in figures],
        ]
        table = Table(cells, colWidths=[WIDTH / len(figures)] * len(figures))
        table.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "TOP")]))
        picture = surface_picture(surface, WIDTH, clock, report.tz)
        note = (
            f"Speed as a share of free flow, in steps of {surface.step_seconds // 60} minutes; traffic goes upwards."
            f" Measured in {found.coverage:.0%} of the quarters of an hour; nothing is filled in."
        ).replace("%", " %")
        parts.append(_section(f"Corridor {escape(surface.name)}", picture, note))
        parts += [Spacer(1, 4), table]
    return parts


def _alerts(report: Report) -> list[Flowable]:
    pie = [part for part in report.metrics.incident_pie if part.count]
    if not pie:
        return [Paragraph("Alerts", _HEADING), Paragraph(NO_ALERTS, _TEXT)]
    total = sum(part.count for part in pie)
    rows = [(str(part.severity), f"{part.count:,}", f"{100 * part.count / total:.1f} %") for part in pie]
    rows.append(("all", f"{total:,}", "100.0 %"))
    side = WIDTH / 2
    table = _table(("Severity", "Alerts", "Share"), rows, (0.45, 0.3, 0.25), side)
    both = Table([[charts.severities(pie, side), table]], colWidths=[side, side])
    both.setStyle(TableStyle([("VALIGN", (0, 0), (-1, -1), "MIDDLE"), ("LEFTPADDING", (0, 0), (-1, -1), 0),
                              ("RIGHTPADDING", (0, 0), (-1, -1), 0)]))  # fmt: skip
    return [_section("Alerts by severity", both, "Counted by the time they were triggered.")]


def _section(heading: str, content: Flowable, note: str = "") -> KeepTogether:
    parts: list[Flowable] = [Paragraph(heading, _HEADING)]
    if note:
        parts += [Paragraph(note, _TEXT), Spacer(1, 4)]
    return KeepTogether([*parts, content])


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], shares: Sequence[float], width: float = WIDTH, numbers: int = 2
) -> Table:
    """A table whose last columns are numbers."""

    def line(values: Sequence[str], form: str = "{}") -> list[Any]:
        styles = [_CELL] * (len(values) - numbers) + [_RIGHT] * numbers
        return [Paragraph(form.format(escape(value)), style) for value, style in zip(values, styles, strict=True)]

    cells = [line(head, "<b>{}</b>"), *map(line, rows)]
    table = Table(cells, colWidths=[width * share for share in shares], repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("BACKGROUND", (0, 0), (-1, 0), _HEAD),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("TOPPADDING", (0, 0), (-1, -1), 2),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _numbered(footer: str) -> type[Canvas]:
    """A canvas that writes a footer with "page 1 of 3" once it knows how many there are."""

    class Numbered(Canvas):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for number, page in enumerate(self._pages, 1):
                self.__dict__.update(page)
                self.setFont(FONT, 7.5)
                self.drawString(MARGIN + 6, 10 * mm, footer)
                self.drawRightString(A4[0] - MARGIN - 6, 10 * mm, f"page {number} of {len(self._pages)}")
                super().showPage()
            super().save()

    return Numbered


def _range(report: Report) -> str:
    start, end = (_local(time, report.tz) for time in (report.metrics.range_start, report.metrics.range_end))
    return f"{_minute(start)} – {_minute(end)}"


def _minute(time: datetime) -> str:
    return f"{time:%d %B %Y %H:%M:%S}" if time.second else f"{time:%d %B %Y %H:%M}"


def _local(time: str, zone: str) -> datetime:
    return datetime.fromisoformat(time).astimezone(time_zone(zone))


def _or_dash(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)
