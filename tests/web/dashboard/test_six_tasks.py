"""Six tasks as a new user tries them, by what can be read on the screen alone; docs/dashboard.md tells the clicks."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, Locator

from models.alerts import AlertEvent
from models.timestamps import from_epoch_us, rfc3339
from tests.stores.roads.observations import observation
from tests.web.administration.conftest import Call, Connection
from tests.web.conftest import ADMIN_KEY, Worker
from tests.web.dashboard import chromium
from tests.web.dashboard.chromium import Visit, visit
from tests.web.roads.test_routes import ask, loaded, put, under
from tests.web.stored import keep_windows, put_roads, recent_window
from trafficapp.feeds.declaration import Current
from trafficapp.transit.feeds import LIVE_VEHICLES

pytestmark = pytest.mark.skipif(chromium.CHROMIUM is None, reason=chromium.NO_CHROMIUM)

#: A task that takes more is awkward.
MOST_CLICKS = 6
WINDOWS_A_DAY = 17_280
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "dashboard.md"
WIDE: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}, "locale": "en-GB"}


ENDS = (44.4907, 11.3131), (44.4985, 11.3271)


@dataclass(frozen=True)
class Jam:
    """What stands still of the way that is recommended while all flows freely, and how long it takes to go around."""

    roads: frozenset[str]
    around_minutes: float


async def jam_on_the_way(worker: Worker) -> Jam:
    """Let the middle of the recommended way stand still, in the speeds that are published for routes."""
    origin, destination = ({"lat": lat, "lng": lng} for lat, lng in ENDS)
    question = {"origin": origin, "destination": destination, "departure_time": "now"}
    await loaded(worker.client)
    free = (await ask(worker.client, question))["recommended_route"]
    names = list(dict.fromkeys(point["road_name"] for point in free["waypoints"]))
    middle = names[len(names) // 3 : -(len(names) // 3)]
    jammed = await under(worker.client, await put(worker.context.redis, datetime.now(UTC), middle), question)
    assert jammed["jams"]
    return Jam(frozenset(middle), jammed["recommended_route"]["eta_minutes"])


class Person:
    """Somebody before a screen, who presses what can be seen and counts."""

    def __init__(self, seen: Visit, jam: Jam) -> None:
        self.page, self.clicks, self.jam = seen.page, 0, jam

    async def press(self, what: Locator) -> None:
        await what.click()
        self.clicks += 1

    async def room(self, name: str) -> None:
        await self.press(self.page.get_by_role("navigation").get_by_role("link", name=name))

    def sees(self, text: str | re.Pattern[str]) -> Locator:
        return self.page.locator("main").get_by_text(text).first


async def late_bus(worker: Worker) -> None:
    """A bus that is not where it should be, as the live sink puts it."""
    now = from_epoch_us(time.time_ns() // 1000)
    bus = msgspec.structs.replace(LIVE_VEHICLES.sample, vehicle_id="bus-late", last_updated=now, delayed_since=now)
    current, document = LIVE_VEHICLES.current, msgspec.json.encode(bus)
    assert isinstance(current, Current)
    await worker.context.redis.set(current.key_of(bus.vehicle_id), document, ex=3600)
    await worker.context.redis.zadd(current.listed, {bus.vehicle_id: now.timestamp()})


async def worst_place(person: Person) -> None:
    """Which place is most congested?"""
    panel = person.page.locator(".panel", has=person.page.get_by_role("heading", name="Worst flow"))
    first = panel.get_by_role("button").first
    assert "crawling" in await first.inner_text()
    await person.press(first)
    await person.sees("3.0 km/h").wait_for()


async def why_the_alert(person: Person) -> None:
    """Why was its alert raised?"""
    await person.room("Alerts")
    await person.press(person.page.locator(".pick.alert").first)
    await person.page.get_by_role("heading", name="Why", exact=True).wait_for()
    await person.sees("Rule").wait_for()


async def way_around(person: Person) -> None:
    """Which way leads around it?"""
    await person.room("Routes")
    for label, (lat, lng) in zip(("From (A)", "To (B)"), ENDS, strict=True):
        await person.page.get_by_label(label).fill(f"{lat}, {lng}")
    await person.press(person.page.get_by_role("button", name="Find the way"))
    recommended = person.page.locator(".route-choice").first
    await recommended.wait_for()
    taken = re.search(r"([\d.]+) min", await recommended.inner_text())
    assert taken is not None
    assert abs(float(taken[1]) - person.jam.around_minutes) < 0.06
    why = re.search(r"Keeps off where time is lost now: (.+?)\.", await person.page.locator("main").inner_text())
    assert why is not None
    assert {name.split(" (")[0] for name in why[1].split(", ")} <= person.jam.roads
    steps = await person.page.locator(".directions li").all_inner_texts()
    assert len(steps) > 2
    assert not [step for step in steps if any(re.search(rf"\b{name}\b", step) for name in person.jam.roads)]


async def today_and_yesterday(person: Person) -> None:
    """Is it better today than yesterday?"""
    await person.room("Analytics")
    compared = person.page.locator(".panel", has=person.page.get_by_role("heading", name="Two spans compared"))
    await compared.get_by_role("cell", name=re.compile(r"\((better|worse)\)")).first.wait_for()
    assert "yesterday (A) and today (B)" in await compared.inner_text()


async def other_threshold(person: Person) -> None:
    """From which score on is it MODERATE? Let it be from 0.2."""
    await person.room("Administration")
    await person.press(person.page.locator("main").get_by_role("button", name="Sign in"))
    await person.page.get_by_role("dialog").get_by_label("Token").fill(ADMIN_KEY)
    await person.page.get_by_label("Your name, for the record").fill("anna")
    await person.press(person.page.get_by_role("dialog").get_by_role("button", name="Use it"))
    await person.page.get_by_role("spinbutton").first.fill("0.2")
    await person.press(person.page.get_by_role("button", name="Set these thresholds"))
    await person.page.get_by_text("In force as anna set them").wait_for()


async def where_a_bus_is_late(person: Person) -> None:
    """Where is a bus late?"""
    await person.room("Transit")
    row = person.page.get_by_role("row", name=re.compile("not heard, delayed")).first
    await person.press(row.get_by_role("link"))
    await person.sees("Delayed since").wait_for()
    await person.page.wait_for_selector('main[data-room="map"]')


TASKS = [worst_place, why_the_alert, way_around, today_and_yesterday, other_threshold, where_a_bus_is_late]


async def test_six_tasks_by_what_is_on_the_screen(
    history_worker: Worker, alert: AlertEvent, call: Call, tables: Connection, base: str, plain: Browser
) -> None:
    jam = await jam_on_the_way(history_worker)
    network = await call("GET", "/api/roads/network")
    others = {road["properties"]["road_id"] for road in network["features"]} - jam.roads
    roads = [min(jam.roads), *sorted(others)[:2]]
    times: dict[str, Any] = {"timestamp": rfc3339(time.time_ns() // 1000)}
    slow = [
        observation(name, current_speed=speed, **times) for name, speed in zip(roads, (3.0, 30.0, 45.0), strict=True)
    ]
    await put_roads(history_worker.context.redis, *slow)
    await late_bus(history_worker)
    minute = 12
    yesterday = [
        recent_window("cam_01", WINDOWS_A_DAY + number, congestion_score=0.6) for number in range(minute, 0, -1)
    ]
    today = [recent_window("cam_01", number, congestion_score=0.2) for number in range(minute, 0, -1)]
    await keep_windows(history_worker.context.settings, *yesterday, *today)
    counted: dict[str, int] = {}
    async with visit(plain, base, **WIDE) as seen:
        await seen.go("/")
        person = Person(seen, jam)
        for task in TASKS:
            person.clicks = 0
            await task(person)
            counted[str(task.__doc__).split("?")[0]] = person.clicks
        assert not seen.faults
    print(counted)
    assert max(counted.values()) <= MOST_CLICKS
    told = dict(re.findall(r"^\| ([^|?]+)\? \| (\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
    assert {task: str(clicks) for task, clicks in counted.items()} == told
