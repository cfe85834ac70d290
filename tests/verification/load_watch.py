"""A worker that notes what its event loop does, in the file that ``LOAD_WATCH`` names.

``python -m tests.verification.load_watch`` runs the application as ``faust worker`` does. What is beside it is in no
product:

* each **turn** of the loop is timed: how long its callbacks took together, how much of that the thread computed, how
  much it stood in line for a processor (``/proc/self/schedstat``); the rest it waited for the interpreter's lock or for
  the disk. How many callbacks it had, and the longest.
* a **thread** looks at the loop every 10 ms and notes the main thread's stack while a turn takes longer than 50 ms.
* how late the loop comes to a **timer** that is due every 20 ms.
* each **request**: from its bytes being read to its answer being written, and how much of that went by waiting for a
  turn, a connection, Postgres or Redis.

`told` reads the file.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import json
import os
import selectors
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

FILE = "LOAD_WATCH"

_LOOK_SECONDS = 0.01
_TIMER_SECONDS = 0.02
_STANDS_SECONDS = 0.05
_LONG_TURN_SECONDS = 0.02
_DEEPEST_FRAMES = 6

_phases: contextvars.ContextVar[dict[str, float] | None] = contextvars.ContextVar("phases", default=None)


class Watch:
    """What is noted of the loop of a thread, the one that makes it."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - open as long as the process
        self._told: list[dict[str, Any]] = []
        self._thread_id = threading.get_ident()
        self._schedstat = os.open(f"/proc/self/task/{threading.get_native_id()}/schedstat", os.O_RDONLY)
        self._turn_began: float | None = None
        self._began_cpu = self._began_delay = 0.0
        self._callbacks = 0
        self._longest = (0.0, "")
        self._sums: Counter[str] = Counter()

    def begin_turn(self) -> None:
        """The loop has what to do."""
        self._turn_began, self._began_cpu, self._began_delay = time.monotonic(), time.thread_time(), self._delay()
        self._callbacks, self._longest = 0, (0.0, "")

    def end_turn(self) -> None:
        """The loop waits for what comes."""
        began, self._turn_began = self._turn_began, None
        if began is None:
            return
        busy, cpu = time.monotonic() - began, time.thread_time() - self._began_cpu
        delay = self._delay() - self._began_delay
        self._sums.update(turns=1, callbacks=self._callbacks)
        for name, seconds in (("busy", busy), ("cpu", cpu), ("delay", delay)):
            self._sums[name] += seconds  # type: ignore[assignment]
        if busy >= _LONG_TURN_SECONDS:
            seconds, name = self._longest
            self._tell("turn", began, busy=busy, cpu=cpu, delay=delay, n=self._callbacks, longest=seconds, name=name)

    def called(self, seconds: float, name: str) -> None:
        """A callback was run."""
        self._callbacks += 1
        if seconds > self._longest[0]:
            self._longest = (seconds, name)

    def request(self, path: str, read_at: float, began: float, ended: float, phases: dict[str, float]) -> None:
        """A request was answered."""
        self._tell("request", read_at, path=path, waited=began - read_at, took=ended - began, phases=phases)

    async def keep_time(self) -> None:
        """Note how late the loop is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TIMER_SECONDS
            await asyncio.sleep(_TIMER_SECONDS)
            self._tell("late", due, seconds=loop.time() - due)

    def look(self) -> None:
        """Look at the loop from another thread for ever, and write what was noted."""
        written_at = time.monotonic()
        while True:
            time.sleep(_LOOK_SECONDS)
            began, now = self._turn_began, time.monotonic()
            if began is not None and now - began > _STANDS_SECONDS:
                frame = sys._current_frames().get(self._thread_id)
                self._tell("stands", now, stack=list(_in_words(frame)))
            if now - written_at > 1:
                sums, self._sums, written_at = self._sums, Counter(), now
                self._tell("second", now, **sums)
                told, self._told = self._told, []
                self._file.writelines(json.dumps(one) + "\n" for one in told)
                self._file.flush()

    def _tell(self, kind: str, at: float, **what: Any) -> None:
        self._told.append({"kind": kind, "at": at, **what})

    def _delay(self) -> float:
        return int(os.pread(self._schedstat, 100, 0).split()[1]) / 1e9


def _in_words(frame: FrameType | None) -> Iterator[str]:
    for _ in range(_DEEPEST_FRAMES):
        if frame is None:
            return
        code = frame.f_code
        yield f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}"
        frame = frame.f_back


def watch_turns(watch: Watch) -> None:
    """Have each turn of every loop noted: there is one in a worker's main thread."""
    run, select, main = asyncio.Handle._run, selectors.EpollSelector.select, threading.get_ident()

    def running(self: asyncio.Handle) -> None:
        if threading.get_ident() != main:
            return run(self)
        began = time.monotonic()
        run(self)
        seconds = time.monotonic() - began
        callback = self._callback if seconds > _LOOK_SECONDS else None  # type: ignore[attr-defined]
        watch.called(seconds, "" if callback is None else _name(callback))
        return None

    def selecting(self: selectors.EpollSelector, timeout: float | None = None) -> Any:
        if threading.get_ident() != main:
            return select(self, timeout)
        watch.end_turn()
        found = select(self, timeout)
        watch.begin_turn()
        return found

    asyncio.Handle._run = running  # type: ignore[method-assign]
    selectors.EpollSelector.select = selecting  # type: ignore[method-assign, assignment]


def _name(callback: Any) -> str:
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        return f"task {getattr(task.get_coro(), '__qualname__', '?')}"
    return str(getattr(callback, "__qualname__", callback))[:80]


def watch_requests(watch: Watch) -> None:
    """Have each request noted."""
    import asyncpg.pool
    from aiohttp.web_protocol import RequestHandler
    from redis.asyncio.client import Pipeline, Redis

    from web.guards.connections import Connection
    from web.guards.turns import Turns

    receive, handle = Connection.data_received, RequestHandler._handle_request
    read_at: dict[int, float] = {}

    def receiving(self: Connection, data: bytes) -> None:
        read_at[id(self)] = time.monotonic()
        receive(self, data)

    async def handling(self: RequestHandler, request: Any, *arguments: Any) -> Any:
        phases: dict[str, float] = defaultdict(float)
        _phases.set(phases)
        began = time.monotonic()
        try:
            return await handle(self, request, *arguments)
        finally:
            watch.request(request.path, read_at.get(id(self), began), began, time.monotonic(), dict(phases))

    Connection.data_received = receiving  # type: ignore[method-assign]
    RequestHandler._handle_request = handling  # type: ignore[method-assign, assignment]
    _time_phase(Turns, "_enter", "turn")
    _time_phase(Redis, "execute_command", "redis")
    _time_phase(Pipeline, "execute", "redis")
    _time_phase(asyncpg.pool.Pool, "_acquire", "connection")
    _time_phase(asyncpg.Connection, "_execute", "postgres")


def _time_phase(kind: type, name: str, phase: str) -> None:
    original = getattr(kind, name)

    @functools.wraps(original)
    async def timed(*arguments: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return await original(*arguments, **named)
        finally:
            phases = _phases.get()
            if phases is not None:
                phases[phase] += time.monotonic() - began

    setattr(kind, name, timed)


def told(path: Path, since: float, until: float) -> Iterator[str]:
    """What a file says of a span of the machine's monotonic clock, in lines for people."""
    by_kind: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        one = json.loads(line)
        if since <= one["at"] < until:
            by_kind[one["kind"]].append(one)
    sums = {name: sum(one.get(name, 0) for one in by_kind["second"]) for name in _SUMMED}
    lasted = max(until - since, 1e-9)
    lock = max(0.0, sums["busy"] - sums["cpu"] - sums["delay"])
    yield (
        f"loop busy {sums['busy'] / lasted:.2f} of the time: computes {sums['cpu'] / lasted:.2f}, in line for a "
        f"processor {sums['delay'] / lasted:.2f}, for the lock or the disk {lock / lasted:.2f}; "
        f"{sums['turns'] / lasted:.0f} turns and {sums['callbacks'] / lasted:.0f} callbacks a second"
    )
    yield f"comes to its timer late by {_shares([one['seconds'] for one in by_kind['late']])}"
    turns = by_kind["turn"]
    for least in (0.02, 0.05, 0.1, 0.25):
        longer = [one for one in turns if one["busy"] >= least]
        if not longer:
            continue
        spent = {
            name: statistics.mean(one[name] for one in longer) for name in ("busy", "cpu", "delay", "n", "longest")
        }
        names = Counter(one["name"] for one in longer if one["longest"] > one["busy"] / 2).most_common(4)
        yield (
            f"turns of {least * 1000:.0f} ms or more: {len(longer)}, {sum(one['busy'] for one in longer):.1f} s, "
            f"mean {spent['busy'] * 1000:.0f} ms ({spent['cpu'] * 1000:.0f} computing, {spent['delay'] * 1000:.0f} in "
            f"line) with {spent['n']:.0f} callbacks, the longest {spent['longest'] * 1000:.0f} ms; over half: {names}"
        )
    for stack, count in Counter(" < ".join(one["stack"][:4]) for one in by_kind["stands"]).most_common(12):
        yield f"stood {count:4} times in {stack}"
    requests: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in by_kind["request"]:
        requests[one["path"]].append(one)
    for asked, found in sorted(requests.items()):
        parts = defaultdict(list)
        for one in found:
            parts["all"].append(one["waited"] + one["took"])
            parts["read, not begun"].append(one["waited"])
            rest = one["took"]
            for phase, seconds in one["phases"].items():
                parts[phase].append(seconds)
                rest -= seconds
            parts["rest"].append(rest)
        yield f"{asked:28} {len(found):5} " + "; ".join(f"{name} {_shares(s)}" for name, s in parts.items())


_SUMMED = ("busy", "cpu", "delay", "turns", "callbacks")


def _shares(seconds: list[float]) -> str:
    if len(seconds) < 2:
        return f"{sum(seconds) * 1000:.0f} ms"
    cuts = statistics.quantiles(seconds, n=100)
    return f"{cuts[49] * 1000:.1f}/{cuts[94] * 1000:.0f}/{cuts[98] * 1000:.0f} ms (50/95/99 %)"


def main() -> None:
    """Run a worker until it is stopped."""
    from trafficapp.application import create_app
    from trafficapp.engine.app import TrafficApp

    watch = Watch(os.environ[FILE])
    watch_turns(watch)
    watch_requests(watch)
    threading.Thread(target=watch.look, name="watch", daemon=True).start()
    begin = TrafficApp.on_first_start

    async def beginning(self: TrafficApp) -> None:
        await begin(self)
        self.keeping_time = asyncio.create_task(watch.keep_time())

    TrafficApp.on_first_start = beginning  # type: ignore[method-assign]
    app = create_app()
    with contextlib.suppress(SystemExit):
        app.main()


if __name__ == "__main__":
    main()
