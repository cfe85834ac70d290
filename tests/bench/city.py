"""All feeds of a city at a rate, and what a message of each costs: ``python -m tests.bench.city``.

The real servers, and a worker of each of the roles feeds, history and live. Measurements, all in ``build/city.json``:

* **costs**: of each feed alone so many messages are sent at once; CPU time of each process from before the first until
  nothing is behind, less what it takes when nothing comes, divided by the messages: intake, rules, tables and
  documents, with the clients of Kafka, Postgres and Redis.
* **load**: all feeds by their shares at a rate for some time. How many records each role is behind, every two seconds;
  CPU time and memory of each process, of the servers and of who sends, too.
* **cars**: so many cars that drive over the road graph tell where they are every five seconds, with everything on that
  ``--with`` says: ``matching`` (and the role roads, which takes up the speeds that follow), ``lake``, ``arrivals``
  (costs are told of buses that serve trips, too).

``rows`` are ``{name, value, unit, before, less_idle_cpu_share}``: of each feed all roles together
(``city_{topic}``), or one process that has all of them (``--site``: ``city_site_{topic}``), what the file said before,
and which share of a core each process took while nothing came, which is subtracted. Rows of what was not measured this
time stay.

The servers run on the same cores, so the rate that is held says less than the µs per message.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from rich.console import Console
from rich.table import Table

from tests.bench.city_buses import buses, import_timetable
from tests.bench.city_cars import Cars
from tests.bench.city_messages import SOURCES, mixed, of_one
from tests.bench.servers import running
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import load_settings
from trafficapp.stack import workers
from trafficapp.stack.servers import data_dir
from trafficapp.stack.supervisor import Supervisor

ROLES = ("feeds", "history", "live")
SERVERS = ("kafka", "postgres", "redis")
_CARS_EVERY_SECONDS = 5.0
EXTRAS = ("matching", "lake", "arrivals")
RESULT = Path("build") / "city.json"
_IDLE_SECONDS, _IDLE_TIMES = 5.0, 6
_PATIENCE_SECONDS = 300.0
_LOOK_SECONDS = 2.0
#: Behind the last record of a partition stand the ends of transactions of all who write there, which nobody reads.
_MARKERS = 8


class Lag:
    """How far consumer groups are behind the topics they read."""

    def __init__(self, bootstrap_servers: str, app_id: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._app_id = app_id
        self.partitions = 0

    def records(self) -> int:
        """Of all groups together; see `by_role`."""
        return sum(self.by_role().values())

    def by_role(self) -> dict[str, int]:
        """Of each group; a partition of which nothing was reported is behind by all that it holds.

        By what is reported: a role that keeps records in files reports when a file is whole, once a minute or so.
        """
        found = self._admin.list_consumer_groups().result().valid
        groups = [one.group_id for one in found if one.group_id.startswith(self._app_id)]
        places: dict[str, list[TopicPartition]] = {}
        for group in groups:
            asked = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
            places[group] = asked[group].result().topic_partitions
        wanted = {TopicPartition(one.topic, one.partition) for ones in places.values() for one in ones}
        ends = self._admin.list_offsets({one: OffsetSpec.latest() for one in wanted}) if wanted else {}
        self.partitions = len(wanted)
        end_of = {(one.topic, one.partition): result.result().offset for one, result in ends.items()}
        return {
            group.removeprefix(self._app_id).lstrip("-") or "streams": sum(
                max(end_of[one.topic, one.partition] - max(one.offset, 0), 0) for one in ones
            )
            for group, ones in places.items()
        }


@dataclass
class Place:
    """Servers and workers of a measurement."""

    supervisor: Supervisor
    bootstrap_servers: str
    lag: Lag
    roles: tuple[str, ...] = ROLES
    idle: dict[str, float] = field(default_factory=dict)

    def cpu_seconds(self) -> dict[str, float]:
        """CPU time of each role's process so far."""
        times = {role: self._process(role).cpu_times() for role in self.roles}
        return {role: one.user + one.system for role, one in times.items()}

    def others_cpu_seconds(self) -> dict[str, float]:
        """CPU time of the servers, whose children are of them, and of this process, which sends."""
        own = time.process_time()
        return {"sender": own} | {name: _with_children(self._process(name)) for name in SERVERS}

    def memory_mib(self) -> dict[str, float]:
        """Resident memory of each role's process."""
        return {role: round(self._process(role).memory_info().rss / 2**20, 1) for role in self.roles}

    async def caught_up(self) -> None:
        """Wait until nothing but ends of transactions is behind, for a second.

        Raises:
            TimeoutError: that takes too long.
        """
        in_a_row = 0
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while in_a_row < 3:
                behind = await asyncio.to_thread(self.lag.records)
                in_a_row = in_a_row + 1 if behind <= _MARKERS * self.lag.partitions else 0
                await asyncio.sleep(0.5)

    async def measure_idle(self) -> None:
        """CPU seconds a second of processes that nothing is sent to: the least of some times, as they begin busily."""
        for _ in range(_IDLE_TIMES):
            before, began = self.cpu_seconds(), time.monotonic()
            await asyncio.sleep(_IDLE_SECONDS)
            passed = time.monotonic() - began
            for role, now in self.cpu_seconds().items():
                self.idle[role] = min((now - before[role]) / passed, self.idle.get(role, 1.0))

    def _process(self, role: str) -> psutil.Process:
        return psutil.Process(self.supervisor.pid(role))


def _with_children(process: psutil.Process) -> float:
    """CPU time of a process and of all that it started, those that have ended included."""
    own = process.cpu_times()
    spent = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            spent += times.user + times.system
    return spent


def producer(bootstrap_servers: str) -> Producer:
    """A plain client that is quick."""
    return Producer(
        {"bootstrap.servers": bootstrap_servers, "linger.ms": 20, "compression.type": "lz4", "log_level": 0}
        | {"queue.buffering.max.messages": 500_000}
    )


def send(client: Producer, messages: Iterator[tuple[str, bytes, bytes]]) -> int:
    """Hand messages over."""
    count = 0
    for topic, key, value in messages:
        client.produce(topic, value, key or None)
        count += 1
        if count % 100 == 0:
            client.poll(0)
    return count


async def costs(place: Place, wanted: Wanted) -> dict[str, dict[str, float]]:
    """µs of CPU per message of each feed alone, by role."""
    found: dict[str, dict[str, float]] = {}
    client, count = producer(place.bootstrap_servers), wanted.count
    sources = [
        (source.topic, source.share, of_one(source))
        for source in SOURCES
        if not wanted.topics or source.topic in wanted.topics
    ]
    if "arrivals" in wanted.extras:
        sources.append(("vehicle_locations with trips", 0.01, buses()))
    for name, share, messages in sources:
        number = count if share >= 0.01 else count // 2
        # what is new about keys is not the cost of a message
        await asyncio.to_thread(send, client, islice(messages, min(number, 2_000)))
        await asyncio.to_thread(client.flush)
        await place.caught_up()
        before, began = place.cpu_seconds(), time.monotonic()
        await asyncio.to_thread(send, client, islice(messages, number))
        await asyncio.to_thread(client.flush)
        await place.caught_up()
        seconds, after = time.monotonic() - began, place.cpu_seconds()
        found[name] = {
            role: round(max(after[role] - before[role] - place.idle[role] * seconds, 0) / number * 1e6, 1)
            for role in place.roles
        }
        print(f"{name}: {number:,} messages in {seconds:.0f} s, {found[name]}", flush=True)
    return found


async def load(place: Place, rate: int, seconds: int) -> dict[str, Any]:
    """All feeds at a rate; what is behind, every few seconds."""
    return await _at_rate(place, mixed(), rate, seconds)


async def cars(place: Place, count: int, seconds: int) -> dict[str, Any]:
    """Cars on roads, each heard every few seconds."""
    driving = Cars(city_graph(load_settings().roads), count, _CARS_EVERY_SECONDS)
    fixes = (fix for _ in itertools.count() for fix in driving.round())
    return await _at_rate(place, fixes, round(count / _CARS_EVERY_SECONDS), seconds)


async def _at_rate(
    place: Place, messages: Iterator[tuple[str, bytes, bytes]], rate: int, seconds: int
) -> dict[str, Any]:
    client = producer(place.bootstrap_servers)
    before, others, began, sent = place.cpu_seconds(), place.others_cpu_seconds(), time.monotonic(), 0
    behind: list[dict[str, int]] = []

    async def look() -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            behind.append(await asyncio.to_thread(place.lag.by_role))

    looking = asyncio.create_task(look())
    try:
        while (passed := time.monotonic() - began) < seconds:
            due = round(rate * (passed + 0.1)) - sent
            sent += await asyncio.to_thread(send, client, islice(messages, due))
            await asyncio.sleep(0.1)
    finally:
        looking.cancel()
    took = time.monotonic() - began
    await asyncio.to_thread(client.flush)
    await place.caught_up()
    until, after, others_after = time.monotonic() - began, place.cpu_seconds(), place.others_cpu_seconds()
    return {
        "messages": sent,
        "seconds": round(took, 1),
        "messages_per_second": round(sent / took),
        "caught_up_after_seconds": round(until - took, 1),
        "records_behind": behind,
        "cpu_us_per_message": {role: round((after[role] - before[role]) / sent * 1e6, 1) for role in place.roles},
        "others_cpu_us_per_message": {
            name: round((spent - others[name]) / sent * 1e6, 1) for name, spent in others_after.items()
        },
        "memory_mib": place.memory_mib(),
    }


def show(result: dict[str, Any]) -> None:
    """Print it as tables."""
    console = Console()
    if result["costs"]:
        idle = ", ".join(f"{role} {share:.3f}" for role, share in result["idle_cpu_share"].items())
        table = Table(
            title="µs of CPU per message",
            caption=f"less what a process takes anyway, in cores while nothing came: {idle}",
        )
        roles = list(next(iter(result["costs"].values())))
        for column in ("feed", *roles, "all"):
            table.add_column(column, justify="left" if column == "feed" else "right")
        for topic, cost in result["costs"].items():
            table.add_row(topic, *(f"{cost[role]:.1f}" for role in roles), f"{sum(cost.values()):.1f}")
        console.print(table)
    for name in ("load", "cars"):
        if one := result[name]:
            _show_load(console, name, one)


def _show_load(console: Console, name: str, one: dict[str, Any]) -> None:
    console.print(
        f"{name}: {one['messages']:,} messages in {one['seconds']} s, {one['messages_per_second']:,} a second; "
        f"caught up {one['caught_up_after_seconds']} s after the last"
    )
    behind: list[dict[str, int]] = one["records_behind"]
    for role in sorted({role for moment in behind for role in moment}):
        seen = [moment.get(role, 0) for moment in behind]
        thirds = (seen[: len(seen) // 3], seen[len(seen) // 3 : 2 * len(seen) // 3], seen[2 * len(seen) // 3 :])
        most = " / ".join(f"{max(part, default=0):,}" for part in thirds)
        console.print(f"  {role} behind: at most {most} records, a third of the time each; {seen[-1]:,} at the end")
    spent = one["cpu_us_per_message"]
    for role, cost in spent.items():
        console.print(f"  {role}: {cost} µs a message, {one['memory_mib'][role]} MiB")
    others = ", ".join(f"{other} {cost}" for other, cost in one["others_cpu_us_per_message"].items())
    console.print(f"  all roles {sum(spent.values()):.1f} µs a message; beside them {others}")


@dataclass(frozen=True)
class Wanted:
    """What is measured.

    Attributes:
        count: messages of each feed alone; 0 leaves costs out.
        rate: messages a second of all feeds together.
        seconds: for so long; 0 leaves the load out.
        cars: how many drive; 0 leaves them out.
        cars_seconds: for how long.
        extras: what is switched on beside everything that always is.
        site: whether one process of the role site does all.
        topics: of feeds whose costs are measured; all where none is named.
    """

    count: int
    rate: int
    seconds: int
    cars: int
    cars_seconds: int
    extras: frozenset[str]
    site: bool
    topics: tuple[str, ...]

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables that switch it on."""
        found = {}
        if "matching" in self.extras:
            found["TRAFFICAPP_FLEET__MATCHING"] = "true"
        if "arrivals" in self.extras:
            import_timetable(folder / "timetable")
            found["TRAFFICAPP_TRANSIT__TIMETABLE_DIR"] = str(folder / "timetable")
        if "lake" in self.extras:
            found["TRAFFICAPP_LAKE__URL"] = f"file://{folder}/lake"
        return found

    @property
    def roles(self) -> tuple[str, ...]:
        """Of the workers."""
        further = [("roads", "matching"), ("lake", "lake")]
        return (*(("site",) if self.site else ROLES), *(role for role, extra in further if extra in self.extras))


async def measure(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """Everything that is wanted."""
    async with running(folder) as (supervisor, environment):
        environment |= wanted.environment(folder)
        chosen = workers.choose_workers(0, 6466, with_lake="lake" in wanted.extras)
        chosen += [workers.Worker("site", "site", 6490)]
        specs = [workers.worker_spec(one, folder, environment) for one in chosen if one.role in wanted.roles]
        supervisor.add_group(specs)
        await supervisor.start_all()
        bootstrap_servers = environment["KAFKA_BOOTSTRAP_SERVERS"]
        place = Place(supervisor, bootstrap_servers, Lag(bootstrap_servers, load_settings().app_id), wanted.roles)
        await asyncio.sleep(_IDLE_SECONDS)
        await place.measure_idle()
        return {
            "with": sorted(wanted.extras),
            "idle_cpu_share": {role: round(share, 3) for role, share in place.idle.items()},
            "costs": await costs(place, wanted) if wanted.count else {},
            "load": await load(place, wanted.rate, wanted.seconds) if wanted.seconds else {},
            "cars": await cars(place, wanted.cars, wanted.cars_seconds) if wanted.cars else {},
        }


def _all_roles(cost: dict[str, float]) -> float:
    return round(sum(cost.values()), 1)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=20_000, help="messages a second of all feeds together")
    parser.add_argument("--seconds", type=int, default=300, help="of the load; 0 leaves it out")
    parser.add_argument("--count", type=int, default=50_000, help="messages of each feed alone; 0 leaves costs out")
    parser.add_argument("--cars", type=int, default=0, help="cars that drive over the road graph")
    parser.add_argument("--cars-seconds", type=int, default=120)
    parser.add_argument("--with", dest="extras", nargs="*", default=[], choices=EXTRAS, help="what is on as well")
    parser.add_argument("--site", action="store_true", help="one process of the role site instead of three")
    parser.add_argument("--topics", nargs="*", default=[], help="of feeds whose costs are measured; all without any")
    arguments = parser.parse_args()
    given = vars(arguments)
    wanted = Wanted(**{**given, "extras": frozenset(arguments.extras), "topics": tuple(arguments.topics)})
    with tempfile.TemporaryDirectory(prefix="trafficapp-bench-city-", ignore_cleanup_errors=True) as path:
        Path(path).chmod(0o755)
        folder = data_dir.prepare(Path(path))
        result = asyncio.run(measure(folder, wanted))
    known = json.loads(RESULT.read_text()).get("rows", []) if RESULT.exists() else []
    before = {row["name"]: row["value"] for row in known}
    prefix = "city_site" if wanted.site else "city"
    names = {topic: f"{prefix}_{topic}" for topic in result["costs"]}
    result["rows"] = [
        {"name": names[topic], "value": _all_roles(cost), "unit": "µs", "before": before.get(names[topic])}
        | {"less_idle_cpu_share": result["idle_cpu_share"]}
        for topic, cost in result["costs"].items()
    ]
    # one process or three are measured one after the other: each keeps the rows of the other
    result["rows"] += [row for row in known if row["name"] not in {one["name"] for one in result["rows"]}]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    show(result)


if __name__ == "__main__":
    main()
