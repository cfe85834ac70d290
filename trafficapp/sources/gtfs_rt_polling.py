"""The command ``trafficapp poll-gtfs-rt``: what a real agency tells in GTFS Realtime, again and again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import aiohttp
import click
import msgspec
from confluent_kafka import KafkaException

from models.timetables.agency import AgencyAlert, AgencyTrip
from trafficapp.settings import SettingsError, load_settings
from trafficapp.sources.delivery import Delivery, DeliveryError, Stopped
from trafficapp.sources.here_polling import back_off
from trafficapp.sources.sending import FLUSH_AFTER_STOP_SECONDS, StopSignals
from trafficapp.timetables.live.agency_feeds import AGENCY_ALERTS, AGENCY_TRIPS
from trafficapp.timetables.realtime_in import FeedReader, ReportedVehicle, Snapshot, UnusableBody

TOPIC = "vehicle_locations"
#: The feeds of the largest agencies have some 10 MB.
MOST_BYTES = 64 << 20
TIMEOUT_SECONDS = 20.0
_LOOK_SECONDS = 0.1


class _Failure(Exception):
    """A feed could not be asked, or not be used; the text says why, for people."""


class FeedSource:
    """One address.

    Args:
        url: of the feed. It may carry a key: texts for people name its host alone.
        reader: of what comes.
        headers: sent with each request.
    """

    def __init__(self, url: str, reader: FeedReader, headers: dict[str, str]) -> None:
        self.name = urlsplit(url).hostname or "the feed"
        self.reader, self._url, self._headers = reader, url, headers
        self._validators: dict[str, str] = {}
        self._coming: dict[str, str] = {}
        self.failures = 0
        self.next_s = 0.0

    async def ask(self, session: aiohttp.ClientSession) -> Snapshot | None:
        """What is new; None when nothing is.

        Raises:
            _Failure: there is no answer that could be used; what was told before stays.
        """
        try:
            headers = {**self._headers, **self._validators}
            async with session.get(self._url, headers=headers) as answer:
                if answer.status == 304:
                    return None
                if answer.status != 200:
                    raise _Failure(f"{self.name} answers with {answer.status}")
                body = bytearray()
                async for chunk in answer.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise _Failure(f"the feed of {self.name} has more than {MOST_BYTES:,} bytes")
                pairs = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
                self._coming = {ours: answer.headers[theirs] for theirs, ours in pairs if theirs in answer.headers}
        except TimeoutError:
            raise _Failure(f"{self.name} did not answer within {TIMEOUT_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Failure(f"{self.name} cannot be asked: {type(error).__name__}") from None
        try:
            return self.reader.read(bytes(body), time.time())
        except UnusableBody as error:
            raise _Failure(f"{self.name}: {error}; what was known stays") from None

    def was_sent(self, snapshot: Snapshot) -> None:
        """What it said is acknowledged: it need not be told again."""
        self.reader.was_sent(snapshot)
        self._validators = self._coming


class GtfsRtPoller:
    """Asks all addresses in rounds, sends what is new; who fails is asked again later and later.

    Args:
        sources: addresses.
        every_seconds: from round to round.
        delivery: sends to the topic.
        stopping: asked while waiting; True makes the waiting end with `Stopped`.
        tell: told what happened, for people.
    """

    def __init__(
        self,
        sources: Sequence[FeedSource],
        every_seconds: float,
        delivery: Delivery,
        stopping: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._sources, self._every_seconds, self._delivery = sources, every_seconds, delivery
        self._stopping, self._tell = stopping, tell
        self._known = set[str]()

    def run(self) -> None:
        """Go on until told to stop.

        Raises:
            Stopped: told to stop.
            DeliveryError: the producer cannot go on.
        """
        while True:
            began = time.monotonic()
            self.round()
            end = began + self._every_seconds
            while (left := end - time.monotonic()) > 0:
                self._delivery.wait(min(left, _LOOK_SECONDS))

    def round(self) -> bool:
        """Ask all whose turn it is; whether each of them gave an answer.

        Raises:
            Stopped: told to stop.
        """
        now = time.monotonic()
        due = [source for source in self._sources if source.next_s <= now]
        answers = asyncio.run(self._ask(due))
        for source, answer in zip(due, answers, strict=True):
            if isinstance(answer, _Failure):
                wait_seconds = max(back_off(source.failures, None), self._every_seconds)
                source.failures, source.next_s = source.failures + 1, now + wait_seconds
                self._tell(f"{answer}; next try in {wait_seconds:.0f} s")
                continue
            source.failures, source.next_s = 0, 0.0
            self._send(source, answer)
        return not any(isinstance(answer, _Failure) for answer in answers)

    def _send(self, source: FeedSource, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self._tell(f"{source.name}: nothing new")
            self._send_all(source, [], source.reader.alerts_again(time.time()), [])
            return
        if not self._send_all(source, snapshot.vehicles, snapshot.alerts, snapshot.trips):
            return
        source.was_sent(snapshot)
        left_out = Counter(snapshot.left_out).most_common()
        words = [f"{source.name}: sent {len(snapshot.vehicles):,} vehicles"]
        for count, what in ((len(snapshot.trips), "trip updates"), (len(snapshot.alerts), "changes of alerts")):
            words += [f"{count:,} {what}"] * bool(count)
        self._tell("; ".join([", ".join(words), *(f"left out {count:,} {why}" for why, count in left_out)]))

    def _send_all(
        self,
        source: FeedSource,
        vehicles: Sequence[ReportedVehicle],
        alerts: Sequence[AgencyAlert],
        trips: Sequence[AgencyTrip],
    ) -> bool:
        """Send messages, each to its topic; whether Kafka has all of them."""
        topics = {topic for topic, messages in ((AGENCY_ALERTS, alerts), (AGENCY_TRIPS, trips)) if messages}
        if topics - self._known:
            self._delivery.wait_for_topic(self._tell, topics=sorted(topics - self._known))
            self._known |= topics
        refused_before = self._delivery.rejected.total()
        for vehicle in vehicles:
            self._delivery.send(vehicle.vehicle_id.encode(), msgspec.json.encode(vehicle))
        for alert in alerts:
            self._delivery.send(alert.alert_id.encode(), msgspec.json.encode(alert), AGENCY_ALERTS)
        for trip in trips:
            self._delivery.send(trip.run_id.encode(), msgspec.json.encode(trip), AGENCY_TRIPS)
        if self._delivery.flush(None, self._stopping):
            raise Stopped
        count = len(vehicles) + len(alerts) + len(trips)
        if refused := self._delivery.rejected.total() - refused_before:
            self._tell(f"{source.name}: Kafka refuses {refused:,} of {count:,} messages")
        return not refused

    async def _ask(self, sources: Sequence[FeedSource]) -> list[Snapshot | _Failure | None]:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            tasks = [asyncio.create_task(_answer(source, session)) for source in sources]
            while tasks and not all(task.done() for task in tasks):
                await asyncio.wait(tasks, timeout=_LOOK_SECONDS)
                if self._stopping():
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)
                    raise Stopped
            return [task.result() for task in tasks]


async def _answer(source: FeedSource, session: aiohttp.ClientSession) -> Snapshot | _Failure | None:
    try:
        return await source.ask(session)
    except _Failure as failure:
        return failure


def _headers(ctx: click.Context, param: click.Parameter, told: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in told:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.BadParameter("a header is written as NAME: VALUE", ctx, param)
        found[name.strip()] = value.strip()
    return found


@click.command("poll-gtfs-rt")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--every", "every_seconds", type=click.FloatRange(5), default=30.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Ask and send once, then end; exit code 1 when an answer was missing.")
@click.option("--type", "kind", default="bus", show_default=True, help="Of the vehicles.")
@click.option(
    "--max-age", "most_age_s", type=click.FloatRange(0, min_open=True), default=300.0, show_default=True,
    help="Seconds; what is older is not sent.",
)  # fmt: skip
@click.option("--header", "headers", multiple=True, callback=_headers, metavar="NAME:VALUE", help="Sent along.")
@click.option("--topic", default=TOPIC, show_default=True, help="Where to send vehicles.")
def poll_gtfs_rt(
    urls: tuple[str, ...],
    every_seconds: float,
    once: bool,
    kind: str,
    most_age_s: float,
    headers: dict[str, str],
    topic: str,
) -> None:
    """Send what GTFS Realtime feeds tell to Kafka: VehiclePositions, TripUpdates and Alerts, each to its topic.

    Vehicles go to vehicle_locations (or --topic), trip updates to agency_trip_updates, alerts to agency_alerts. What
    was sent is not sent again. A body that is empty, has no header or is old changes nothing. Failures are told, and
    waited out for longer and longer; Ctrl-C stops.
    """
    for url in urls:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise click.BadParameter("an address begins with http:// or https://", param_hint="URL")
    sources = [FeedSource(url, FeedReader(kind, most_age_s, urlsplit(url).hostname or ""), headers) for url in urls]
    try:
        settings = load_settings()
        with StopSignals().caught() as stop:
            delivery = Delivery(settings, topic, stopping=lambda: bool(stop))
            poller = GtfsRtPoller(sources, every_seconds, delivery, lambda: bool(stop), _to_people)
            try:
                delivery.wait_for_topic(_to_people)
                if once and not poller.round():
                    raise SystemExit(1)
                if not once:
                    poller.run()
            except Stopped:
                delivery.flush(FLUSH_AFTER_STOP_SECONDS, lambda: stop.at_once)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    except (DeliveryError, KafkaException) as error:
        raise click.ClickException(f"cannot send: {error}") from None


def _to_people(text: str) -> None:
    click.echo(text, err=True)
