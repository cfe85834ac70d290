"""Agent that predicts all roads of the city at once, and tells what follows: role ``roads``.

A round is made once a batch of the feed has settled, and now and then without one: predictions are sent, then the
speeds of the road graph are put, then the observations since the last round are judged. State is written only by
rounds, so a new owner makes a round again that was not finished. What is raised becomes part of the state before it is
sent: a new owner sends it again as the same bytes. Congestion events, and what is folded into them, are sent before:
readers know a repeat (decision 0030).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata
from msgspec import structs
from redis.asyncio import Redis

from models.cameras.detections import Rejected
from models.dead_letters import dead_letter_of, encode_dead_letter
from models.roads.congestion import encode_congestion_event
from models.roads.notifications import RoadNotification, encode_notification
from models.roads.predictions import PredictionSource, RoadPrediction
from models.timestamps import MICROSECONDS_PER_SECOND, from_epoch_us
from trafficapp.congestion.causes import PlacedIncident, causes_of, confirmations_of
from trafficapp.congestion.events import Change, CongestionEvents
from trafficapp.congestion.network import RoadNetwork
from trafficapp.congestion.wording import notification_of, with_cause
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.fatal import Exit, end_process
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import SourceLog
from trafficapp.engine.stateful import Owned, StatefulSink, acknowledged
from trafficapp.engine.telemetry import Telemetry
from trafficapp.forecast.artifacts.shipped import HORIZONS_MINUTES, CityModel
from trafficapp.forecast.choosing import steps_needed
from trafficapp.forecast.city.closures import closed_edges
from trafficapp.forecast.city.notices import judge_fresh
from trafficapp.forecast.city.pace import Pace
from trafficapp.forecast.city.predicting import CityMoment, CityPredictor, PredictedCity, speeds_of
from trafficapp.forecast.city.roads import CityRoads, Record
from trafficapp.forecast.city.untold import Told, as_told_before, event_id_of_told
from trafficapp.forecast.city.vehicle_roads import told_otherwise
from trafficapp.forecast.quantities import SPEED
from trafficapp.forecast.serving import Hours
from trafficapp.notifications.notices import Notice, RoadNotices
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.pieces import pieces_of
from trafficapp.settings import Settings
from trafficapp.state_logs import road_forecast_state_log
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.roads.open_incidents import OpenIncidents
from trafficapp.stores.roads.published_graph import GraphPublisher
from trafficapp.stores.roads.recent_routes import RecentRoutes, recent_routes
from trafficapp.stores.weather.city_weather import CityWeather
from trafficapp.topics import (
    CITY_PARTITIONS,
    DEAD_LETTERS,
    NOTIFICATIONS,
    PREDICTIONS,
    congestion_events,
    folded_notifications,
    road_observations,
)
from trafficapp.weather.road_weather import WeatherOfRoads

logger = logging.getLogger(__name__)

#: Rounds that made their predictions in less are not told in the log.
_SLOW_SECONDS = 1.0

#: A run is taken in by pieces, each within milliseconds.
_PIECE_RECORDS = 100
_PIECE_BYTES = 1 << 20

#: Predictions and notifications are handed over by so many.
_SENT_AT_ONCE = 2000

#: Notifications do not wait longer for Redis to say which routes they affect.
_ROUTES_WITHIN_SECONDS = 0.5


def _kept_steps(step_seconds: int) -> int:
    """How many steps of each road are kept: those that a model takes, and those that it is judged by."""
    horizon_steps = tuple(round(minutes * 60 / step_seconds) for minutes in HORIZONS_MINUTES)
    return steps_needed(SPEED.input_steps, horizon_steps)


class RoadForecastsSink(StatefulSink[CityRoads]):
    """Takes in checked observations and predicts all roads when they have settled."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        state: StateLog,
        telemetry: Telemetry,
        predictor: CityPredictor,
        graph: GraphPublisher,
        redis: Redis,
        weather: CityWeather,
        incidents: OpenIncidents,
        roads: RoadGraph,
    ) -> None:
        super().__init__(state, settings.kafka.session_timeout_seconds)
        self._settings = settings
        self._outbox = outbox
        self._telemetry = telemetry
        self._predictor = predictor
        self._graph = graph
        self._redis = redis
        self._weather = weather
        self._incidents = incidents
        self._roads, self._network = roads, RoadNetwork(roads)
        self._notices = RoadNotices(settings.notifications)
        self._closed_us = round(settings.roads.closed_seconds * MICROSECONDS_PER_SECOND)
        self._paces: dict[int, Pace] = {}
        self._untold: dict[int, list[tuple[bytes, bytes]]] = {}
        #: Model and number of roads of which usual speeds were put.
        self._usual_of: tuple[str, int] | None = None
        self._woken = asyncio.Event()

    def take_over(self, partition: int, rows: Mapping[bytes, bytes], log: SourceLog) -> CityRoads:
        """The roads of a partition, to go on from their rows."""
        settings = self._settings
        return CityRoads(
            partition,
            settings.forecast.step_seconds,
            _kept_steps(settings.forecast.step_seconds),
            round(settings.notifications.sudden_jam_minutes * 60 * MICROSECONDS_PER_SECOND),
            round(settings.roads.future_guard_seconds * MICROSECONDS_PER_SECOND),
            rows,
            forget_us=round(settings.roads.forget_hours * 3600 * MICROSECONDS_PER_SECOND),
            most_roads=settings.roads.max_roads,
            log=log,
            congestion=lambda row: CongestionEvents(
                settings.jams, self._network, row, self._closed_us, settings.suspicions
            ),
        )

    def taken_over(self, partition: int, states: CityRoads) -> None:
        """Make a round, and tell what the owner before us raised: it may not have come to it. Readers know a repeat."""
        forecast = self._settings.forecast
        self._paces[partition] = Pace.after_take_over(
            time.monotonic(),
            settle_seconds=forecast.settle_seconds,
            at_most_seconds=forecast.settle_at_most_seconds,
            apart_seconds=forecast.round_seconds,
            refresh_seconds=forecast.refresh_seconds,
        )
        self._untold[partition] = states.notifications
        self._woken.set()

    def release(self, partitions: Collection[int]) -> None:
        """Forget the decoded state and when rounds are due."""
        super().release(partitions)
        for partition in partitions:
            self._paces.pop(partition, None)
            self._untold.pop(partition, None)

    async def take_effect(self, partition: int, states: CityRoads, records: Sequence[ConsumerRecord]) -> None:
        """Take in a run; what comes of it is told by the next round, what is none is a dead letter."""
        for piece in pieces_of(records, _PIECE_RECORDS, _PIECE_BYTES):
            states.apply(piece)
            if states.refused:
                await self._refuse(partition, states.refused)
            # whoever asks for our health meanwhile gets an answer
            await asyncio.sleep(0)
        self._paces[partition].records_came(time.monotonic())
        self._woken.set()

    async def _refuse(self, partition: int, refused: Sequence[tuple[Record, Rejected]]) -> None:
        topic = road_observations(self._settings)
        letters = [dead_letter_of(topic, partition, record, error) for record, error in refused]
        sent = await self._outbox.send(DEAD_LETTERS, partition, [(one.key, encode_dead_letter(one)) for one in letters])
        await acknowledged(sent, "dead letters")
        for letter in letters:
            self._telemetry.events_dropped.labels(letter.reason).inc()

    async def make_rounds(self, should_stop: Callable[[], bool]) -> None:
        """Make rounds when they are due; what cannot be told ends the process."""
        while not should_stop():
            due_at = min((pace.due_at() for pace in self._paces.values()), default=float("inf"))
            wait_seconds = due_at - time.monotonic()
            if wait_seconds > 0:
                self._woken.clear()
                try:
                    async with asyncio.timeout(None if wait_seconds == float("inf") else wait_seconds):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                continue
            try:
                await self._make_due_rounds()
            except asyncio.CancelledError:
                raise
            except Exception:
                logger.exception("a round of predictions failed")
                end_process(Exit.APPLY_FAILED, "a round of predictions")

    async def _make_due_rounds(self) -> None:
        for partition, one in list(self._partitions.items()):
            pace = self._paces.get(partition)
            if pace is None or pace.due_at() > time.monotonic():
                continue
            async with one.lock:
                if self._partitions.get(partition) is one:
                    await self._round(partition, one)
                    pace.round_made(time.monotonic())

    async def _round(self, partition: int, one: Owned[CityRoads]) -> None:
        states = one.states
        await self._tell(partition)
        predictions: list[RoadPrediction] = []
        weather: WeatherOfRoads | None = None
        if states.roads:
            weather = await self._weather.of_roads(states.edges())
            moment = await asyncio.to_thread(self._moment, one, weather)
            predicted = await self._predict(partition, moment)
            predictions = predicted.predictions
            await self._put_graph(states, predicted, from_epoch_us(moment.made_at_us))
        if not states.owes_round:
            return
        await self._congestion(partition, states, weather)
        raised, folded = self._sorted(await self._judge(states, predictions), states)
        await self._send(folded_notifications(self._settings), partition, folded)
        told = states.is_catching_up
        if told:
            self._untold[partition] = raised
            await self._tell(partition)
        states.round_made(raised)
        await asyncio.to_thread(states.prepare_rows)
        if self._partitions.get(partition) is not one:
            return
        await self._write_state(partition, one)
        if raised and not told:
            await self._state.flush()
            self._untold[partition] = raised
            await self._tell(partition)

    async def _predict(self, partition: int, moment: CityMoment) -> PredictedCity:
        """Predict all roads; returns when the predictions are acknowledged."""
        began = time.perf_counter()
        predicted = await asyncio.to_thread(self._predictor.predict, moment)
        await self._send(PREDICTIONS, partition, predicted.records)
        seconds = time.perf_counter() - began
        self._telemetry.forecasts.count(
            (prediction.source for prediction in predicted.predictions),
            predicted.model_version,
            refused=predicted.refusal is not None,
            inference_seconds=predicted.inference_seconds,
            round_seconds=seconds,
        )
        if seconds > _SLOW_SECONDS:
            logger.warning("%d roads took %.1f s to predict and send", len(predicted.predictions), seconds)
        return predicted

    async def _put_graph(self, states: CityRoads, predicted: PredictedCity, made_at: datetime) -> None:
        """Put the speeds of the graph, and with another model or other roads what is usual over the day."""
        told = await asyncio.to_thread(_graph_of, states, predicted)
        await self._graph.publish(
            told.edges,
            told.speeds_kmh,
            made_at,
            observed_at=told.observed_at,
            sources=told.sources,
            free_flow_kmh=told.free_flow_kmh,
            closed_at=told.closed_at,
        )
        usual_of = (predicted.model_version, len(told.edges))
        if predicted.model is not None and usual_of != self._usual_of:
            about, usual = predicted.model.about, predicted.model.knowledge.smooth
            await self._graph.publish_profile(
                told.edges, about.road_ids, usual.speeds_kmh, usual.weekend_kmh, usual.zone, made_at
            )
            self._usual_of = usual_of

    async def _judge(self, states: CityRoads, predictions: list[RoadPrediction]) -> list[RoadNotification]:
        """Judge what came since the last round; the notifications that it raises, with those that are folded."""
        notices = await asyncio.to_thread(judge_fresh, self._notices, states, predictions)
        changes = [] if states.congestion is None else states.congestion.take_changes()
        if not notices and not changes:
            return []
        try:
            async with asyncio.timeout(_ROUTES_WITHIN_SECONDS):
                routes = await recent_routes(self._redis)
        except TimeoutError:
            routes = RecentRoutes()
        return await asyncio.to_thread(_told, notices, changes, routes, states)

    async def _congestion(self, partition: int, states: CityRoads, weather: WeatherOfRoads | None) -> None:
        """Look for causes of congestion, and publish the events that changed; returns when they are acknowledged."""
        if states.congestion is None:
            return
        incidents = await self._incidents.now()
        await asyncio.to_thread(self._find_causes, states.congestion, incidents, weather)
        documents = await asyncio.to_thread(states.congestion.take_documents)
        records = [(one.event_id.encode(), encode_congestion_event(one)) for one in documents]
        await self._send(congestion_events(self._settings), partition, records)

    def _find_causes(
        self, events: CongestionEvents, incidents: list[PlacedIncident], weather: WeatherOfRoads | None
    ) -> None:
        confirmed = confirmations_of(events.unconfirmed(), incidents, self._settings.suspicions)
        for event_id, incident in confirmed.items():
            events.confirm(event_id, incident)
        events.causes(causes_of(events.open_events(), self._roads, incidents, weather))

    def _sorted(self, notifications: list[RoadNotification], states: CityRoads) -> tuple[list[Told], list[Told]]:
        """What is told, and what is folded into a congestion event.

        The owner before us, where we repeat what it did, knew of which events roads were part; what it told is told.
        """
        known = {event_id_of_told(value) for _, value in states.notifications}
        raised, folded = list[Told](), list[Told]()
        for one in notifications:
            if not self._settings.notifications.grouped:
                if one.alert_type == "congestion":
                    continue
                one = structs.replace(one, congestion_event_id=None, folded=False)
            is_folded = one.folded and one.event_id not in known
            told = one.road_id.encode(), encode_notification(one)
            (folded if is_folded else raised).append(told)
        return as_told_before(raised, states.notifications), folded

    async def _tell(self, partition: int) -> None:
        """Send notifications that are part of the state; returns when they are acknowledged."""
        await self._send(NOTIFICATIONS, partition, self._untold.pop(partition, []))

    async def _send(self, topic: str, partition: int, records: Sequence[tuple[bytes, bytes]]) -> None:
        """Send records; returns when they are acknowledged."""
        sent: list[asyncio.Future[RecordMetadata]] = []
        for first in range(0, len(records), _SENT_AT_ONCE):
            sent += await self._outbox.send(topic, partition, records[first : first + _SENT_AT_ONCE])
            await asyncio.sleep(0)
        await acknowledged(sent, topic)

    def _moment(self, one: Owned[CityRoads], weather: WeatherOfRoads | None) -> CityMoment:
        """All roads now: by our clock, or by that of the feed's newest record where it is ahead."""
        states = one.states
        now = max(time.time(), states.source_ms / 1000 + time.monotonic() - one.applied)
        recent_kmh, last_time = states.recent.window(now)
        road_ids = states.recent.road_ids
        newest = (states.roads[road_id].measured for road_id in road_ids)
        now_us = round(now * MICROSECONDS_PER_SECOND)
        return CityMoment(
            made_at_us=now_us,
            road_ids=road_ids,
            recent_kmh=recent_kmh,
            last_time=last_time,
            step_seconds=states.recent.step_seconds,
            current_kmh=tuple(0.0 if observed is None else observed.current_speed_kmh for observed in newest),
            closed=frozenset(
                road_id for road_id, road in states.roads.items() if road.is_closed(now_us, self._closed_us)
            ),
            weather=weather,
            weather_numbers=self._weather.numbers(),
            hours=Hours(*states.hours.window(now)),
        )

    async def _write_state(self, partition: int, one: Owned[CityRoads]) -> None:
        # what no round has covered would be lost with us
        if not one.states.owes_round:
            await super()._write_state(partition, one)


class _Graph(NamedTuple):
    """What `GraphPublisher.publish` is told."""

    edges: dict[str, list[tuple[str, float]]]
    speeds_kmh: dict[str, list[float | None]]
    observed_at: datetime | None
    sources: dict[str, PredictionSource]
    free_flow_kmh: dict[str, float]
    closed_at: dict[str, datetime]


def _graph_of(states: CityRoads, predicted: PredictedCity) -> _Graph:
    observed = {road_id: road.measured for road_id, road in states.roads.items() if road.measured is not None}
    closed = {one.road_id for one in predicted.predictions if one.source == "closed"}
    fresh = {one.road_id for one in predicted.predictions if one.current_speed is not None} - closed
    left_out = closed | told_otherwise(states.roads, fresh)
    # one of a clock that was ahead would let the speeds look new for as long
    believed_us = states.believed_us()
    times_us = (one.observed_at_us for one in observed.values() if one.observed_at_us <= believed_us)
    newest_us = max(times_us, default=None)
    return _Graph(
        states.edges(),
        speeds_of(one for one in predicted.predictions if one.road_id not in left_out),
        None if newest_us is None else from_epoch_us(newest_us),
        {one.road_id: one.source for one in predicted.predictions if one.road_id not in closed},
        {road_id: one.free_flow_kmh for road_id, one in observed.items()},
        {edge: from_epoch_us(time_us) for edge, time_us in closed_edges(states.roads, closed).items()},
    )


def _told(
    notices: Iterable[Notice], changes: Iterable[Change], routes: RecentRoutes, states: CityRoads
) -> list[RoadNotification]:
    """Notifications of congestion events, then of roads, each with how many routes it affects."""

    def affected(road_ids: Iterable[str]) -> int:
        known = (states.roads[road_id] for road_id in road_ids if road_id in states.roads)
        return routes.count_through(edge for road in known for edge, _ in road.edges)

    told = []
    for change in changes:
        count = affected(road.road_id for road in change.event.roads)
        told.append(notification_of(with_cause(change, states.congestion), count))
    return told + [notice.told(affected([notice.road_id])) for notice in notices]


def register(app: TrafficApp) -> None:
    """Declare the table of road states and the agent on an application, and begin to make rounds."""
    settings = app.settings
    state = road_forecast_state_log(settings, app.outbox)
    app.declare_state_table(
        "road_forecast_state", "what predictions of each road are made from", state.view(), CITY_PARTITIONS
    )
    redis = connect(settings.redis.url.get_secret_value())
    app.close_at_end(redis.aclose)
    predictor = CityPredictor(CityModel(settings.forecast.models_dir, settings.forecast.step_seconds))
    roads = city_graph(settings.roads)
    graph = GraphPublisher(redis, app.outbox, roads, settings.roads.city)
    weather = CityWeather(redis, settings.weather, roads)
    incidents = OpenIncidents(redis, roads, settings.incidents)
    sink = RoadForecastsSink(
        settings, app.outbox, state, app.telemetry, predictor, graph, redis, weather, incidents, roads
    )
    app.read_in_runs(road_observations(settings), sink, name="road_forecasts", partitions=CITY_PARTITIONS)
    app.keep_state(sink)

    @app.task
    async def make_rounds() -> None:
        await sink.make_rounds(lambda: app.should_stop)

    @app.task
    async def put_graph_again() -> None:
        await graph.watch()
