"""How the thread in the background puts roads in order, beside the same in Python."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from tests.web.dashboard import chromium
from web.dashboard import pages

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

_FREE_KMH = 50.0
_STEPS_FROM = (0.85, 0.65, 0.45, 0.25, 0.0)
_RECKONED = """async ({ids, rows}) => {
  const {Roads, speedColumns} = await import("/static/live/background/roads.js");
  const [{flow: [flow], strangers}] = speedColumns(rows, new Roads(ids, Float64Array.from(ids, () => %s)));
  return {steps: [...flow.steps], order: Array.from(flow.order, (at) => ids[at]), known: flow.known, strangers};
}"""


async def test_closed_roads_come_first_unknown_ones_last_and_equal_ones_by_their_ids(
    aiohttp_client: Any, plain: Browser
) -> None:
    application = web.Application()
    application.add_routes(pages.routes())
    client = await aiohttp_client(application)
    some = random.Random(7)
    ids = [f"r{number}" for number in range(300)]
    some.shuffle(ids)
    speeds = {road: float(some.randrange(1, 60)) for road in ids if some.random() < 0.9}
    closed = {road for road in speeds if some.random() < 0.05}
    told = [
        {"road_id": road, "current_speed": kmh, "jam_factor": 1, "congestion_level": "low",
         "last_updated": "2026-01-14T07:00:00Z", "closed": road in closed}
        for road, kmh in {**speeds, "stranger": 5.0}.items()
    ]  # fmt: skip
    page = await plain.new_page()
    await page.goto(str(client.make_url("/static/icon.svg")))
    found = await page.evaluate(_RECKONED % _FREE_KMH, {"ids": ids, "rows": told})
    await page.close()

    def place(road: str) -> tuple[float, str]:
        return (math.inf if road not in speeds else -1 if road in closed else speeds[road] / _FREE_KMH, road)

    assert found["order"] == sorted(ids, key=place)
    assert (found["known"], found["strangers"]) == (len(speeds), 1)
    assert found["steps"] == [
        next(at for at, least in enumerate(_STEPS_FROM) if speeds[road] / _FREE_KMH >= least)
        if road in speeds
        else len(_STEPS_FROM)
        for road in ids
    ]
