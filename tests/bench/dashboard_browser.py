"""What a page costs its browser, as Chromium itself tells by its debugger: for `tests.bench.dashboard`.

*Update work* of a second is the time of all tasks of the page's main thread that began in it, without the callbacks
that draw a frame: messages, questions, state, components, style, layout, garbage. It is processor time where Chromium
tells that, else elapsed time, which a busy machine makes longer. Drawing is told beside it. Where there is no graphics
card a frame is rasterised by another process of the browser, which is not in either.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from asyncio.subprocess import DEVNULL
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from playwright.async_api import Browser, Page

from tests.web.dashboard.chromium import ARGUMENTS, CHROMIUM, MAP

_CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8", "blink.user_timing"]
_OPENED_SECONDS = 30.0
_FRAMES = frozenset({"FireAnimationFrame"})
#: Tasks of the main thread, as versions of Chromium name them; some tell a task by both names, one in the other.
_TASKS = frozenset({"RunTask", "ThreadControllerImpl::RunTask"})


@dataclass(frozen=True)
class Work:
    """What the main thread did.

    Attributes:
        update_ms: of each second, processor time.
        longest_ms: of each second, the longest task, elapsed time.
        frames_ms: of each drawn frame, processor time.
        by_name: processor time a second by what it was for, without what it called by another name, the costliest
            first.
        heavy_by_name: the same of the tenth of all seconds that had most work.
        clock: what is told: processor time, or elapsed time where Chromium tells no other.
    """

    update_ms: list[float]
    longest_ms: list[float]
    frames_ms: list[float]
    by_name: dict[str, float]
    heavy_by_name: dict[str, float]
    clock: str


def read_trace(content: bytes, url: str) -> Work:
    """Sum up a trace of a page."""
    events: list[dict[str, Any]] = json.loads(content)["traceEvents"]
    thread = _main_thread(events, url)
    own = [event for event in events if (event["pid"], event["tid"]) == thread and event["ph"] == "X"]
    own.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))
    # some versions tell no processor time of a task
    clock = "tdur" if any("tdur" in event for event in own if event["name"] in _TASKS) else "dur"
    begin, end = own[0]["ts"], max(event["ts"] for event in own)
    seconds = int((end - begin) / 1e6)
    update, longest = [0.0] * seconds, [0.0] * seconds
    frames, names = list[float](), [defaultdict[str, float](float) for _ in range(seconds)]
    around: list[dict[str, Any]] = []
    for event in own:
        while around and around[-1]["ts"] + around[-1].get("dur", 0) <= event["ts"]:
            around.pop()
        second = int((event["ts"] - begin) / 1e6)
        if second >= seconds:
            break
        used = event.get(clock, 0) / 1000
        if event["name"] in _TASKS and not any(outer["name"] in _TASKS for outer in around):
            update[second] += used
            longest[second] = max(longest[second], event.get("dur", 0) / 1000)
        elif event["name"] in _FRAMES:
            update[second] -= used
            frames.append(used)
        names[second][_name(event)] += used
        if around:
            names[second][_name(around[-1])] -= used
        around.append(event)
    heavy = sorted(range(seconds), key=lambda one: -update[one])[: max(1, seconds // 10)]
    return Work(update, longest, frames, _costliest(names), _costliest([names[one] for one in heavy]), clock)


def _costliest(names: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of some seconds, in ms."""
    summed = defaultdict[str, float](float)
    for second in names:
        for name, used in second.items():
            summed[name] += used / len(names)
    return {name: round(used, 2) for name, used in sorted(summed.items(), key=lambda one: -one[1])[:20]}


def _name(event: dict[str, Any]) -> str:
    data = event.get("args", {}).get("data") or {}
    if event["name"] == "FunctionCall":
        return f"FunctionCall {data.get('functionName', '')} {data.get('url', '').rsplit('/static/', 1)[-1]}"
    return str(event["name"])


def _main_thread(events: Sequence[dict[str, Any]], url: str) -> tuple[int, int]:
    """The renderer whose page was opened here; of several the one that did most."""
    named = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    used = defaultdict[tuple[int, int], float](float)
    for event in events:
        thread = (event["pid"], event["tid"])
        if thread in named and event["name"] in _TASKS:
            used[thread] += event.get("dur", 0)
    if not used:
        raise ValueError(f"the trace of {url} has no task of a page")
    return max(used, key=lambda thread: used[thread])


#: In the page, from its first moment: how long it takes to take up what the thread in the background hands over, up to
#: the components that are made anew; style, layout and paint follow in the next frame. What is handed over together is
#: taken up together: "roads" is all of a round that has columns of roads, "vehicles" of one that has none.
WATCH_UPDATES = """
window.updates = {vehicles: [], roads: []};
const {set} = Object.getOwnPropertyDescriptor(Worker.prototype, "onmessage");
Object.defineProperty(Worker.prototype, "onmessage", {
  configurable: true,
  set(take) {
    set.call(this, (event) => {
      const began = performance.now();
      take.call(this, event);
      // older clients are told one thing at a time
      const all = [event.data].flat();
      const told = all.some((one) => one?.body?.flow) ? "roads" : all.some((one) => one?.fleet) ? "vehicles" : null;
      // who waits for an answer goes on in a microtask, whoever waits for that in a further one, and so do components
      let left = 20;
      const later = () => (left-- ? queueMicrotask(later) : window.updates[told].push(performance.now() - began));
      if (told) later();
    });
  },
});
"""


async def trace(browser: Browser, page: Page, seconds: float) -> Work:
    """What the page does for so many seconds."""
    await browser.start_tracing(page=page, categories=_CATEGORIES)
    await asyncio.sleep(seconds)
    return read_trace(await browser.stop_tracing(), page.url)


@asynccontextmanager
async def unwatched(address: str, folder: Path, debugger_port: int) -> AsyncIterator[psutil.Process]:
    """A page in a browser that no debugger stays with, which would keep what the page was told: the page's process."""
    assert CHROMIUM is not None
    quiet = ["--headless=new", "--window-size=1280,720", "--disable-extensions", "--disable-background-networking"]
    command = [
        CHROMIUM,
        *ARGUMENTS,
        *MAP,
        *quiet,
        f"--user-data-dir={folder}",
        f"--remote-debugging-port={debugger_port}",
    ]
    browser = await asyncio.create_subprocess_exec(*command, address, stdout=DEVNULL, stderr=DEVNULL)
    try:
        await asyncio.sleep(_OPENED_SECONDS)
        children = psutil.Process(browser.pid).children(recursive=True)
        renderers = [child for child in children if "--type=renderer" in _command(child)]
        yield max(renderers, key=lambda child: child.memory_full_info().uss)
    finally:
        browser.terminate()
        await browser.wait()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def slope_an_hour(seconds: Sequence[float], values: Sequence[float]) -> float:
    """Of the line through values over time with the least squares, a value's unit an hour."""
    return statistics.linear_regression(seconds, values).slope * 3600


def percentile(values: Sequence[float], share: float) -> float:
    """Of values in order the one at a share of them, so that it is one that was seen."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
