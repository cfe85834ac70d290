"""The command ``trafficapp poll-here``: HERE's flow of traffic into ``traffic-raw``, again and again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from confluent_kafka import KafkaException

from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import Settings, SettingsError, load_settings
from trafficapp.sources.delivery import Delivery, DeliveryError, Stopped
from trafficapp.sources.here import HereFlow, UnusableFlow
from trafficapp.sources.here_client import Box, Failure, HereClient
from trafficapp.sources.sending import FLUSH_AFTER_STOP_SECONDS, StopSignals
from trafficapp.topics import ROADS_RAW

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0
#: With ``--once``: so many failures that may pass are not the end.
_TRIES_OF_ONCE = 3
_LOOK_SECONDS = 0.1
_Result = TypeVar("_Result")


class HerePoller:
    """Asks, sends what is new, and waits; after failures longer and longer.

    Args:
        settings: of the process.
        delivery: sends to the topic of the feed.
        stopping: asked while waiting; True makes the waiting end with `Stopped`.
        tell: told what happened, for people.
    """

    def __init__(
        self, settings: Settings, delivery: Delivery, stopping: Callable[[], bool], tell: Callable[[str], None]
    ) -> None:
        self._poll_seconds = settings.here.poll_seconds
        self._client = HereClient(settings.here, _box(settings))
        self._flow = HereFlow()
        self._delivery = delivery
        self._stopping = stopping
        self._tell = tell

    def run(self) -> None:
        """Go on until told to stop.

        Raises:
            Stopped: told to stop.
            DeliveryError: the producer cannot go on.
        """
        failures = 0
        while True:
            began = time.monotonic()
            try:
                self.poll()
                failures = 0
                wait_seconds = self._poll_seconds - (time.monotonic() - began)
            except Failure as failure:
                wait_seconds = back_off(failures, failure.wait_seconds)
                failures += 1
                self._tell(f"{failure}; next try in {wait_seconds:.0f} s")
            self._wait(wait_seconds)

    def run_once(self) -> None:
        """Send one answer.

        Raises:
            Failure: there is none, also after some tries.
            Stopped: told to stop.
        """
        for failures in range(_TRIES_OF_ONCE):
            try:
                return self.poll()
            except Failure as failure:
                if failure.lasting or failures == _TRIES_OF_ONCE - 1:
                    raise
                wait_seconds = back_off(failures, failure.wait_seconds)
                self._tell(f"{failure}; next try in {wait_seconds:.0f} s")
                self._wait(wait_seconds)

    def poll(self) -> None:
        """Ask, and send what is new; returns when it is acknowledged.

        Raises:
            Failure: there is no answer that could be used.
            Stopped: told to stop.
        """
        answer = asyncio.run(self._unless_stopped(self._client.ask()))
        if answer is None:
            self._tell("nothing new")
            return
        try:
            found = self._flow.read(answer.body, time.time_ns() // 1000)
        except UnusableFlow as error:
            raise Failure(f"HERE's answer cannot be used: {error}") from None
        refused_before = self._delivery.rejected.total()
        for message in found.messages:
            self._delivery.send(message.key, message.value)
        if self._delivery.flush(None, self._stopping):
            raise Stopped
        refused = self._delivery.rejected.total() - refused_before
        if refused:
            raise Failure(f"Kafka refuses {refused:,} of {len(found.messages):,} messages")
        self._flow.was_sent(found)
        self._client.etag = answer.etag
        words = f"sent {len(found.messages):,} roads" if found.is_news else "nothing newer"
        self._tell("; ".join([words, *(f"left out {count:,} {why}" for why, count in found.left_out.most_common())]))

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._delivery.wait(min(left, _LOOK_SECONDS))

    async def _unless_stopped(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result, unless somebody says stop meanwhile."""
        task = asyncio.create_task(work)
        while not (await asyncio.wait([task], timeout=_LOOK_SECONDS))[0]:
            if self._stopping():
                task.cancel()
                await asyncio.wait([task])
                raise Stopped
        return task.result()


def back_off(failures: int, at_least_seconds: float | None) -> float:
    """How long to wait after so many failures in a row: twice as long each time, up to five minutes, with jitter.

    Args:
        failures: before this one.
        at_least_seconds: what the other side asked for; it is never undercut.
    """
    longest = min(FIRST_WAIT_SECONDS * 2.0 ** min(failures, 30), LONGEST_WAIT_SECONDS)
    chance = random.uniform(0.5, 1.0)
    if at_least_seconds is None:
        return longest * chance
    return max(at_least_seconds, longest) + chance


def _box(settings: Settings) -> Box:
    """The box that is asked for: the setting, else the extent of the road graph."""
    if settings.here.bbox is not None:
        return settings.here.bbox
    graph = city_graph(settings.roads)
    return (
        float(graph.shape_lon.min()),
        float(graph.shape_lat.min()),
        float(graph.shape_lon.max()),
        float(graph.shape_lat.max()),
    )


@click.command("poll-here")
@click.option("--once", is_flag=True, help="Ask and send once, then end; exit code 1 when there was no answer.")
@click.option("--topic", default=ROADS_RAW, show_default=True, help="Where to send.")
def poll_here(once: bool, topic: str) -> None:
    """Send the flow of traffic that HERE tells (Traffic API v7) to Kafka.

    Needs HERE_API_KEY. The area is the road graph's, or the setting here.bbox. What was sent already is not sent
    again. Failures are told, and waited out for longer and longer; Ctrl-C stops.
    """
    try:
        settings = load_settings()
        if settings.here.api_key is None:
            raise click.ClickException("there is no key: set HERE_API_KEY")
        with StopSignals().caught() as stop:
            delivery = Delivery(settings, topic, stopping=lambda: bool(stop))
            poller = HerePoller(settings, delivery, lambda: bool(stop), lambda text: click.echo(text, err=True))
            try:
                delivery.wait_for_topic(lambda text: click.echo(text, err=True))
                if once:
                    poller.run_once()
                else:
                    poller.run()
            except Stopped:
                delivery.flush(FLUSH_AFTER_STOP_SECONDS, lambda: stop.at_once)
    except (SettingsError, GraphError, Failure) as error:
        raise click.ClickException(str(error)) from None
    except (DeliveryError, KafkaException) as error:
        raise click.ClickException(f"cannot send: {error}") from None
