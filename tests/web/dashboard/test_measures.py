"""Bottlenecks, before and after, works and filled gaps in a browser: as the API has them, and why there are none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from playwright.async_api import Browser

from models.timestamps import rfc3339
from tests.stores.roads.observations import T0_US, observation
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import MARKUP, Visit, visit
from tests.web.dashboard.test_alarms import PICTURES, picture
from tests.web.dashboard.test_desks import WIDE
from tests.web.stored import keep_roads
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

_DAY_US = 86_400_000_000
#: Steps of five minutes of a day: a day counts that was measured for half of it.
_STEPS, _JAM, _SILENT = 150, range(60, 84), range(3, 6)
_LEAST_M = 150.0
_TABLES = "corridors, road_observations, roads, sink_offsets"
VIEW = {
    "from": "2026-01-14",
    "to": "2026-01-15",
    "change": "2026-01-14",
    "works_from": "2026-01-14",
    "works_to": "2026-01-15",
}
#: The same days of the city's clock, as the page asks for them.
SPAN = "from=2026-01-13T23:00:00Z&to=2026-01-15T23:00:00Z"
SPANS = (
    "before_from=2026-01-06T23:00:00Z&before_to=2026-01-13T23:00:00Z"
    "&after_from=2026-01-13T23:00:00Z&after_to=2026-01-20T23:00:00Z"
)


def street(graph: RoadGraph) -> tuple[int, int]:
    """Two edges of some length, of which the second begins where the first ends."""
    long = [edge for edge, length in enumerate(graph.length_m.tolist()) if length > _LEAST_M]
    begins = {begin: edge for edge, begin in ((edge, int(graph.edge_from[edge])) for edge in long)}
    for first in long:
        second = begins.get(int(graph.edge_to[first]))
        if second is not None and graph.edge_to[second] != graph.edge_from[first]:
            return first, second
    raise AssertionError("no long edge follows another one")


@pytest.fixture
async def corridor(history_worker: Worker, call: Call, tables: Connection, base: str) -> AsyncIterator[int]:
    """Two roads, measured for most of four days; from the third on the second one jams, and is silent for a while."""
    await tables.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")
    settings = history_worker.context.settings
    graph = city_graph(settings.roads)
    seen = []
    for name, edge in zip(("a", "b"), street(graph), strict=True):
        line = slice(int(graph.shape_offsets[edge]), int(graph.shape_offsets[edge + 1]))
        points = list(zip(graph.shape_lon[line].tolist(), graph.shape_lat[line].tolist(), strict=True))
        for day in range(-2, 2):
            for step in range(_STEPS):
                if name == "b" and day >= 0 and step in _SILENT:
                    continue
                kmh = 10.0 if name == "b" and day >= 0 and step in _JAM else 50.0 - day
                told = rfc3339(T0_US + day * _DAY_US + step * 300_000_000)
                seen.append(
                    observation(
                        name, timestamp=told, event_id=f"{name}{told}", road_name=f"Via {name} {MARKUP}",
                        current_speed=kmh, edges=[(str(graph.edge_ids[edge]), 1.0)], coordinates=points,
                    )
                )  # fmt: skip
    await keep_roads(settings, *seen)
    await history_worker.context.registry.refresh()
    made = await call("POST", "/api/admin/corridors", {"name": f"Ring {MARKUP}", "road_ids": ["a", "b"]}, 201)
    yield made["id"]
    await tables.execute(f"TRUNCATE {_TABLES} RESTART IDENTITY")


async def whole_picture(seen: Visit, name: str) -> None:
    """Of all that a room has to scroll."""
    if not PICTURES:
        return
    before = seen.page.viewport_size
    assert before
    height = await seen.page.evaluate("document.querySelector('main').scrollHeight")
    await seen.page.set_viewport_size({"width": before["width"], "height": height + 100})
    await picture(seen, name)
    await seen.page.set_viewport_size(before)


async def test_measures_of_roads_are_those_of_the_api(corridor: int, call: Call, base: str, plain: Browser) -> None:
    async with visit(plain, base, color_scheme="light", **WIDE) as seen:
        await seen.go(f"/#/analytics?{urlencode(VIEW)}")
        bottlenecks, change, works, surface = (
            seen.page.locator(".panel", has=seen.page.get_by_role("heading", name=name, exact=True))
            for name in (
                "Bottlenecks: where queues begin",
                "Before and after",
                "Delay of works",
                "Corridors: speed over time and distance",
            )
        )

        (worst,) = (await call("GET", f"/api/analytics/bottlenecks?{SPAN}"))["bottlenecks"]
        cells = await bottlenecks.locator("tbody tr").first.locator("th, td").all_text_contents()
        figures = ("delay_vehicle_hours", "activations", "active_minutes", "longest_minutes")
        assert cells[:5] == [
            worst["road_name"],
            f"{worst[figures[0]]:,.1f}",
            *(f"{worst[name]:,.0f}" for name in figures[1:]),
        ]

        compared = await call("GET", f"/api/corridors/{corridor}/comparison?{SPANS}")
        assert compared["is_significant"] is not None
        for row, side in enumerate(("before", "after")):
            mean = change.locator("tbody tr").nth(row).locator(".mean")
            assert await mean.text_content() == f"{compared[side]['mean_seconds']:,.1f}"
        said = await change.locator(".verdict").inner_text()
        assert f"+{compared['difference_seconds']:,.1f} s afterwards (+{100 * compared['relative']:,.1f} %)" in said
        assert f"+{compared['high_seconds']:,.1f}" in said

        told = await call("GET", f"/api/corridors/{corridor}/works?{SPAN}")
        assert told["compared_steps"] > 0
        shown = await works.locator(".figures dd").all_text_contents()
        assert shown[:3] == [f"{told[name]:,.1f} s" for name in ("usual_seconds", "mean_seconds", "delay_seconds")]
        assert f"Of {told['compared_steps']} of {told['steps']} quarters" in await works.inner_text()

        assert await surface.get_by_text("cells are filled in").count() == 0
        await surface.get_by_label("Fill gaps").check()
        filled = (await call("GET", f"/api/corridors/{corridor}/surface?{SPAN}&fill=true"))["filled"]
        assert len(filled) >= 6
        await surface.get_by_text(f"{len(filled):,} of ").wait_for()
        assert "fill=yes" in seen.page.url
        await whole_picture(seen, "measures-light")
        assert not await seen.unsuitable()

        # a road's own figures are one step from where it jams, of the same times
        await bottlenecks.get_by_role("link", name="Travel times of Via b").click()
        await seen.page.get_by_role("heading", name="Travel times of Via b").wait_for()
        await seen.settled()
        assert seen.page.url.endswith("&fill=yes&road=b")
        road = await call("GET", f"/api/roads/b/comparison?{SPANS}")
        mean = change.locator("tbody tr").nth(1).locator(".mean")
        assert await mean.text_content() == f"{road['after']['mean_seconds']:,.1f}"
        await whole_picture(seen, "measures-road")
        assert not await seen.page.evaluate("'markup' in window || document.querySelector('main img')")
        assert not seen.faults


async def test_they_fit_on_a_phone(corridor: int, base: str, plain: Browser) -> None:
    async with visit(plain, base, color_scheme="dark", viewport={"width": 390, "height": 844}, locale="vi-VN") as seen:
        await seen.go(f"/#/analytics?{urlencode(VIEW | {'road': 'b', 'fill': 'yes'})}")
        assert await seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert not await seen.unsuitable()
        await whole_picture(seen, "measures-phone")
        assert not seen.faults


async def test_who_has_no_corridor_and_no_jam_is_told_why_there_is_nothing(
    corridor: int, call: Call, base: str, plain: Browser
) -> None:
    await call("DELETE", f"/api/admin/corridors/{corridor}", status=204)
    async with visit(plain, base, color_scheme="dark", **WIDE) as seen:
        await seen.go(f"/#/analytics?{urlencode(VIEW | {'from': '2026-01-12', 'to': '2026-01-13'})}")
        main = await seen.text("main")
        assert "Roads were measured, and none was a bottleneck" in main
        assert "There is no corridor yet, and no road was chosen" in main
        await seen.go(
            f"/#/analytics?{urlencode(VIEW | {'road': 'b', 'change': '2026-01-12', 'works_to': '2026-01-14'})}"
        )
        main = await seen.text("main")
        assert "No day before it was measured for half of the day" in main
        await whole_picture(seen, "measures-empty")
        await seen.go(f"/#/analytics?{urlencode(VIEW | {'from': '2025-11-01'})}")
        assert "Bottlenecks are told of 31 days at most" in await seen.text("main")
        assert not seen.faults
