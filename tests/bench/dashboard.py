"""The live map under 5,000 roads and 10,000 moving vehicles: ``python -m tests.bench.dashboard``.

Writes ``build/dashboard.json``: rows of name, value, unit. Real servers and a real worker of the role ``live``; each
second every vehicle has a new place, every five seconds each road a speed. Measured in headless Chromium:

* the work of the main thread each second, and the frames it draws (`tests.bench.dashboard_browser` says what counts);
  how long the page itself takes for each thing that the thread in the background hands over, by its own clock;
* the first visit, while the worker has all this to do and once nobody sends: what is transferred, when something and
  when the first figures of the city can be read, how long the files were waited for;
* memory over time of the process of a page, as it is, and of what is kept once the garbage is collected
  (`tests.bench.dashboard_memory`).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, async_playwright
from rich.console import Console
from rich.table import Table

from tests.bench.dashboard_browser import (
    WATCH_UPDATES,
    Work,
    percentile,
    slope_an_hour,
    trace,
    unwatched,
)
from tests.bench.dashboard_city import Feed, made_up_graph
from tests.bench.dashboard_memory import kept
from tests.bench.servers import running
from tests.ports import free_port
from tests.web.dashboard.chromium import ARGUMENTS, CHROMIUM, MAP
from trafficapp.roads.graph.storage import save
from trafficapp.settings import load_settings
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "build" / "dashboard.json"
_SIZE: Any = {"width": 1280, "height": 720}
_VISITS = 5
_PATIENCE_MS = 120_000
_SETTLE_SECONDS = 15.0
_AT_REST_SECONDS = 5.0
#: Of a memory run: what is measured before is a page that still fills itself.
_FILLING_SECONDS = 240.0
#: How often memory is looked at, and the garbage collected; more often in a short run, which has slopes as well.
_SAMPLE_EVERY_SECONDS, _SAMPLES = 30.0, 24
_COLLECT_EVERY_SECONDS, _COLLECTIONS = 300.0, 6

#: In the page, from its first moment: when it first had the city's figures, and what the browser says of painting.
_WATCH = """
window.firstFigures = null;
new MutationObserver((_, watch) => {
  if (!document.querySelector(".figures dd")) return;
  window.firstFigures = performance.now();
  watch.disconnect();
}).observe(document, {childList: true, subtree: true});
window.painted = {};
for (const type of ["paint", "largest-contentful-paint"])
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) window.painted[type === "paint" ? one.name : type] = one.startTime;
  }).observe({type, buffered: true});
"""


#: Of all files, the longest time between asking and the begin of the answer.
_LONGEST_WAIT = """Math.max(...performance.getEntriesByType("resource")
  .filter(({name, requestStart}) => name.includes("/static/") && requestStart > 0)
  .map(({requestStart, responseStart}) => responseStart - requestStart))"""


async def first_visits(browser: Browser, address: str) -> dict[str, float]:
    """The middle of some visits of browsers that know nothing of the page: times in ms, bytes transferred."""
    seen: list[dict[str, float]] = []
    for _ in range(_VISITS):
        context = await browser.new_context(viewport=_SIZE)
        page = await context.new_page()
        await page.add_init_script(_WATCH)
        session = await context.new_cdp_session(page)
        await session.send("Network.enable")
        asked, files, figures = dict[str, str](), 0.0, 0.0

        def finished(told: dict[str, Any], asked: dict[str, str] = asked) -> None:
            nonlocal files, figures
            path = asked.get(told["requestId"], "")
            if path.startswith(("/api/", "/traffic/", "/metrics/", "/health")):
                figures += told["encodedDataLength"]
            else:
                files += told["encodedDataLength"]

        def requested(told: dict[str, Any], asked: dict[str, str] = asked) -> None:
            asked[told["requestId"]] = "/" + told["request"]["url"].removeprefix(address)

        session.on("Network.requestWillBeSent", requested)
        session.on("Network.loadingFinished", finished)
        await page.goto(address)
        await page.locator(".figures dd").first.wait_for(timeout=_PATIENCE_MS)
        await page.locator(".map-said").wait_for(state="detached", timeout=_PATIENCE_MS)
        roads_ms = await page.evaluate("performance.now()")
        await asyncio.sleep(1)
        painted = await page.evaluate("window.painted")
        seen.append(
            {
                "first_paint_ms": painted["first-contentful-paint"],
                "largest_paint_ms": painted["largest-contentful-paint"],
                "first_figures_ms": await page.evaluate("window.firstFigures"),
                "roads_on_the_map_ms": roads_ms,
                "waited_for_files_ms": await page.evaluate(_LONGEST_WAIT),
                "files_kb": files / 1000,
                "figures_kb": figures / 1000,
            }
        )
        await context.close()
    return {name: percentile([one[name] for one in seen], 0.5) for name in seen[0]}


@dataclass
class Memory:
    """What was seen of memory: seconds since the begin, and a figure.

    Attributes:
        process: MB that are the process's own, with all garbage.
        process_kept: the same right after its garbage was collected.
        heap_kept: MB of JavaScript that are kept then, in the page and its workers.
        nodes_kept: of documents.
    """

    process: list[tuple[float, float]] = field(default_factory=list)
    process_kept: list[tuple[float, float]] = field(default_factory=list)
    heap_kept: list[tuple[float, float]] = field(default_factory=list)
    nodes_kept: list[tuple[float, float]] = field(default_factory=list)


async def memory(address: str, folder: Path, minutes: float, console: Console) -> Memory:
    """Look every half minute, and every fifth minute after the garbage is collected; in a short run more often."""
    seen, port = Memory(), free_port()
    every = min(_SAMPLE_EVERY_SECONDS, 60 * minutes / _SAMPLES)
    samples_to_a_collection = round(min(_COLLECT_EVERY_SECONDS, 60 * minutes / _COLLECTIONS) / every)
    async with unwatched(address, folder, port) as process, aiohttp.ClientSession() as http:
        began = time.monotonic()
        for number in itertools.count():
            passed = time.monotonic() - began
            if passed >= 60 * minutes:
                break
            seen.process.append((passed, process.memory_full_info().uss / 1e6))
            console.print(f"{passed:6.0f} s: {seen.process[-1][1]:.0f} MB")
            if number % samples_to_a_collection == samples_to_a_collection - 1:
                left = await kept(http, port)
                seen.process_kept.append((passed, process.memory_full_info().uss / 1e6))
                seen.heap_kept.append((passed, left.heap_mb))
                seen.nodes_kept.append((passed, left.nodes))
                console.print(f"         kept {seen.process_kept[-1][1]:.0f} MB: {left}")
            await asyncio.sleep(every - (time.monotonic() - began) % every)
    return seen


async def measure(folder: Path, given: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Run everything and return the figures."""
    graph = made_up_graph()
    save(graph, folder / "graph")
    stack = data_dir.prepare(folder / "stack")
    async with running(stack) as (supervisor, environment):
        environment |= {
            "TRAFFICAPP_ROADS__CITY": "town",
            "TRAFFICAPP_ROADS__GRAPH": str(folder / "graph"),
            "TRAFFICAPP_LIMITS__REQUESTS_PER_SECOND": "10000",
        }
        port = free_port()
        chosen = workers.Worker("live", "live", port)
        supervisor.add_group([workers.worker_spec(chosen, stack, environment)])
        await supervisor.start_all()
        settings = load_settings(kafka={"bootstrap_servers": environment["KAFKA_BOOTSTRAP_SERVERS"]})
        feed = Feed(graph, settings, given.vehicles)
        feeding = asyncio.create_task(feed.run())
        address = f"http://127.0.0.1:{port}/"
        try:
            await _wait_for_vehicles(address, given.vehicles)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *MAP])
                visits = {} if given.only_memory else await first_visits(browser, address)
                page = await (await browser.new_context(viewport=_SIZE)).new_page()
                await page.add_init_script(WATCH_UPDATES)
                await page.goto(address)
                await page.locator(".map-said").wait_for(state="detached", timeout=_PATIENCE_MS)
                await asyncio.sleep(_SETTLE_SECONDS)
                drawn = await page.evaluate("window.devicePixelRatio")
                await page.evaluate("() => { for (const one of Object.values(window.updates)) one.length = 0; }")
                work = await trace(browser, page, given.seconds)
                updates = await page.evaluate("window.updates")
                await page.context.close()
                samples = (
                    await memory(address, folder / "browser", given.minutes, console) if given.minutes else Memory()
                )
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
                await asyncio.sleep(_AT_REST_SECONDS)
                at_rest = {} if given.only_memory else await first_visits(browser, address)
                await browser.close()
        finally:
            feeding.cancel()
    assert drawn == 1
    visits |= {f"at_rest_{name}": value for name, value in at_rest.items()}
    return _rows(given, graph.edge_ids.size, visits, work, updates, samples, feed)


async def _wait_for_vehicles(address: str, vehicles: int) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(120):
            async with session.get(f"{address}api/vehicles/locations?limit=10000") as answer:
                if answer.ok and len(await answer.json()) >= vehicles:
                    return
            await asyncio.sleep(1)
    raise SystemExit("the worker does not know the vehicles within two minutes")


def _rows(
    given: argparse.Namespace,
    roads: int,
    visits: dict[str, float],
    work: Work,
    updates: dict[str, list[float]],
    samples: Memory,
    feed: Feed,
) -> dict[str, Any]:
    clock = {"tdur": "of CPU", "dur": "elapsed"}[work.clock]
    rows = [
        ("roads", roads, ""),
        ("vehicles", given.vehicles, ""),
        ("update_work_p50", percentile(work.update_ms, 0.5), f"ms of the main thread a second, {clock}"),
        ("update_work_p95", percentile(work.update_ms, 0.95), f"ms of the main thread a second, {clock}"),
        *(
            (f"{what}_told_p{share}", percentile(times, share / 100), "ms in the page, elapsed")
            for what, times in updates.items()
            for share in (50, 95)
        ),
        ("longest_task_p95", percentile(work.longest_ms, 0.95), "ms elapsed"),
        ("frame_p95", percentile(work.frames_ms, 0.95), f"ms of the main thread a frame, {clock}"),
        ("frames", len(work.frames_ms) / len(work.update_ms), "a second"),
        ("feed_late_p95", 1000 * percentile(feed.late_seconds, 0.95), "ms"),
    ]
    rows += [(name, value, name.rpartition("_")[2]) for name, value in visits.items()]
    for name, unit in (("process", "MB"), ("process_kept", "MB"), ("heap_kept", "MB"), ("nodes_kept", "nodes")):
        seen = getattr(samples, name)
        steady = [sample for sample in seen if sample[0] >= min(_FILLING_SECONDS, 30 * given.minutes)]
        if len(steady) > 2:
            seconds, figures = zip(*steady, strict=True)
            rows += [
                (f"{name}_minutes", (seconds[-1] - seconds[0]) / 60, "min"),
                (name, figures[-1], unit),
                (f"{name}_slope", slope_an_hour(seconds, figures), f"{unit}/h"),
            ]
    return {
        "rows": [{"name": name, "value": round(float(value), 2), "unit": unit} for name, value, unit in rows],
        "work_by_name_ms_a_second": work.by_name,
        "heavy_work_by_name_ms_a_second": work.heavy_by_name,
        "memory_samples": asdict(samples),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of main-thread work that are traced")
    parser.add_argument("--minutes", type=float, default=60.0, help="of memory; 0 leaves it out")
    parser.add_argument("--only-memory", action="store_true", help="without the first visits")
    given = parser.parse_args()
    if CHROMIUM is None:
        raise SystemExit("no Chromium is installed (apt install chromium)")
    console = Console(width=120)
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as folder:
        found = asyncio.run(measure(Path(folder), given, console))
    table = Table("what", "figure", title="the live map in headless Chromium")
    for row in found["rows"]:
        table.add_row(row["name"], f"{row['value']:,} {row['unit']}")
    console.print(table)
    for told, by_name in (("all", "work_by_name"), ("the heaviest tenth", "heavy_work_by_name")):
        console.print(f"work of {told} of the seconds, ms a second:")
        for name, used in found[f"{by_name}_ms_a_second"].items():
            console.print(f"{used:8.2f} {name}")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{RESULT.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
