"""Live events for the WebSocket clients of a worker.

One subscription to Redis serves all of them. The feed knows the state that the events led to, so that a
client gets it at once, and the number of the newest event, so that none is told twice or left out: what
the channel did not bring is read from the log, and where the log has a gap everybody is told so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

import msgspec
from msgspec import UNSET
from redis.asyncio import Redis

from models.alerts import AlertEvent, decode_alert_event, decode_new_alert, is_about_traffic
from models.cameras.maps import HeatPoint
from models.cameras.overview import CityOverview
from models.cameras.window_rows import WindowRow
from models.events import Envelope, Snapshot, encode_event_data
from models.records import MALFORMED
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.redis.event_log import (
    EVENTS_CHANNEL,
    PERIODIC_EVENTS,
    EventLog,
    EventsMissed,
    LiveState,
    Told,
    decode_event_head,
)
from web.sockets.broadcast import Broadcaster
from web.sockets.clients import SocketClient
from web.sockets.event_filter import ALERT_EVENTS, EventFilter, is_told_of_quality, overview_in_zone, told_in_zone
from web.sockets.subscription import Heard, Subscription, Tasks

logger = logging.getLogger(__name__)

#: After an outage so many missed events are told one by one; after a longer one everybody is told to begin anew.
_CATCH_UP_EVENTS = 200

_REPLAY_PAGE_EVENTS = 50
_REDIS_AWAY_SECONDS = 1.0

#: Without a word of Redis for this long, the clients are told that they are not told.
_STALE_AFTER_SECONDS = 5.0

#: The cameras in a zone, given by id or name; None when there is no such zone.
CamerasIn = Callable[[str], Collection[str] | None]

_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_overview = msgspec.json.Decoder(CityOverview).decode
_decode_rows = msgspec.json.Decoder(list[WindowRow]).decode
_decode_points = msgspec.json.Decoder(list[HeatPoint]).decode


class EventFeed:
    """Hears of events and tells the clients.

    Args:
        connect: makes the client for the subscription; the feed closes it.
        log_client: reads the log for clients that come back.
        cameras_in: looks zones up.
        heartbeat_seconds: interval of heartbeats.
    """

    def __init__(
        self, connect: Callable[[], Redis], log_client: Redis, cameras_in: CamerasIn, heartbeat_seconds: float
    ) -> None:
        self._log = EventLog(log_client)
        self._cameras_in = cameras_in
        self._heartbeat_seconds = heartbeat_seconds
        self._seq = -1
        self._alerts: dict[str, AlertEvent] = {}
        self._newest: dict[str, bytes] = {}
        self._loaded = Heard()
        #: for each filter its clients, each with the number of the newest event that it knows
        self._audiences: dict[EventFilter, dict[SocketClient, int]] = {}
        self._snapshots: dict[EventFilter, tuple[int, bytes]] = {}
        self._broadcaster = Broadcaster()
        self._subscription = Subscription(connect, EVENTS_CHANNEL, self._catch_up, self._receive)
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to listen."""
        self._tasks.start(self._subscription.run(), self._broadcaster.run(), self._heartbeats())

    async def stop(self) -> None:
        """Stop listening."""
        await self._tasks.stop()

    # ------------------------------------------------------------------ clients

    async def knows_within(self, seconds: float) -> bool:
        """Whether the state is known, waiting a little for it."""
        return await self._loaded.within(seconds)

    async def join(self, client: SocketClient, wanted: EventFilter, resume_after: int | None) -> None:
        """Tell a client where things are, or what it missed, and from then on everything."""
        await self._loaded.wait()
        missed = resume_after is not None
        if resume_after is not None:
            try:
                seq = await self._replay(client, wanted, resume_after)
                # who still has to read what it missed must not be cut for what everybody is told meanwhile
                while await client.drained() or seq < self._seq:
                    seq = await self._replay(client, wanted, seq)
                missed = False
            except EventsMissed:
                pass
            else:
                self._audiences.setdefault(wanted, {})[client] = seq
                return
        # no waiting from here on, so that no event comes between the snapshot and those that follow
        if missed:
            # whoever resumes must hear of it, whatever else it asked for
            client.offer(self._envelope("resync", b"{}"))
        if "snapshot" in wanted.says:
            client.offer(self._snapshot(wanted))
        if "heartbeat" in wanted.says and self._stale_since() is not None:
            client.offer(self._heartbeat())
        self._audiences.setdefault(wanted, {})[client] = self._seq

    def leave(self, client: SocketClient, wanted: EventFilter) -> None:
        """Remove a client; one that is not there is no fault."""
        audience = self._audiences.get(wanted)
        if audience is not None:
            audience.pop(client, None)
            if not audience:
                del self._audiences[wanted]
                self._snapshots.pop(wanted, None)

    async def _replay(self, client: SocketClient, wanted: EventFilter, seq: int) -> int:
        """Tell what came after a number, up to where the feed is or beyond.

        Returns:
            the number of the newest event told, with no waiting after it was found to be that.

        Raises:
            EventsMissed: the log does not hold all of it.
        """
        while seq != self._seq:
            try:
                page = await self._log.after(seq, _REPLAY_PAGE_EVENTS)
            except UNAVAILABLE:
                if "heartbeat" in wanted.says and self._stale_since() is not None:
                    await client.put(self._heartbeat())
                await asyncio.sleep(_REDIS_AWAY_SECONDS)
                continue
            if not page and self._seq <= seq:
                break
            for told in page:
                message = self._message(told, wanted)
                if message is not None:
                    await client.put(message)
                seq = told.seq
        return seq

    # ------------------------------------------------------------------ hearing

    async def _catch_up(self, client: Redis) -> None:
        """Take the state over, and tell the clients what the channel did not bring."""
        log = EventLog(client)
        state = await log.state()
        missed = await self._missed(log, state) if self._loaded.is_set() else []
        if missed is not None:
            for told in missed:
                self._tell(told)
        self._take(state)
        self._loaded.set()
        if missed is None:
            for wanted, audience in self._audiences.items():
                if "resync" in wanted.says:
                    self._broadcaster.send(self._envelope("resync", b"{}"), audience)
                if "snapshot" in wanted.says:
                    self._broadcaster.send(self._snapshot(wanted), audience)
                self._audiences[wanted] = dict.fromkeys(audience, self._seq)

    async def _missed(self, log: EventLog, state: LiveState) -> list[Told] | None:
        """Events that are in the state but were not heard; None when the log does not hold them all."""
        if state.seq == self._seq:
            return []
        try:
            found = await log.after(self._seq, _CATCH_UP_EVENTS)
        except EventsMissed:
            return None
        if not found or found[-1].seq < state.seq:
            return None
        # what is newer than the state comes over the channel
        return [told for told in found if told.seq <= state.seq]

    def _take(self, state: LiveState) -> None:
        self._seq = state.seq
        self._alerts = {}
        for alert in state.alerts:
            try:
                event = decode_alert_event(alert)
            except MALFORMED as error:
                logger.warning("an open alert in Redis cannot be read: %s", error)
                continue
            self._alerts[event.id] = event
        self._newest = dict(state.newest)
        self._snapshots.clear()

    async def _receive(self, client: Redis, message: bytes) -> None:
        try:
            head = decode_event_head(message)
        except MALFORMED as error:
            logger.warning("a message on %s cannot be read: %s", EVENTS_CHANNEL, error)
            return
        if head.seq <= self._seq:
            return  # what was read from the log or with the state
        if head.seq != self._seq + 1 or head.event == "resync":
            await self._catch_up(client)
        else:
            told = Told(head.seq, head.event, message)
            self._apply(told)
            self._tell(told)
        await self._broadcaster.room()

    def _apply(self, told: Told) -> None:
        """Change the state as an event says."""
        self._seq = told.seq
        if told.event in PERIODIC_EVENTS:
            self._newest[told.event] = told.envelope
        elif told.event in ALERT_EVENTS:
            data = _decode_envelope(told.envelope).data
            event = decode_new_alert(data) if told.event == "new_alert" else decode_alert_event(data)
            known = self._alerts.get(event.id)
            if event.action == "resolved":
                self._alerts.pop(event.id, None)
            elif event.action != "acknowledged":
                self._alerts[event.id] = event
            elif known is not None:
                self._alerts[event.id] = msgspec.structs.replace(
                    known,
                    acknowledged_by=event.acknowledged_by,
                    acknowledged_at=event.acknowledged_at,
                    acknowledged_caller=event.acknowledged_caller,
                )

    # ------------------------------------------------------------------ telling

    def _tell(self, told: Told) -> None:
        for wanted, audience in self._audiences.items():
            message = self._message(told, wanted)
            if message is not None:
                self._broadcaster.send(message, [client for client, known in audience.items() if known < told.seq])

    def _message(self, told: Told, wanted: EventFilter) -> bytes | None:
        """The envelope as it goes to clients with a filter; None when it does not concern them."""
        if told.event not in wanted.types or (not wanted.quality and is_told_of_quality(told)):
            return None
        if wanted.zone is None:
            return told.envelope
        return told_in_zone(told, self._cameras_in(wanted.zone) or (), self._alerts.values())

    def _snapshot(self, wanted: EventFilter) -> bytes:
        known = self._snapshots.get(wanted)
        if known is None or known[0] != self._seq:
            data = encode_event_data(self._state(wanted))
            known = self._snapshots[wanted] = (self._seq, self._envelope("snapshot", data))
        return known[1]

    def _state(self, wanted: EventFilter) -> Snapshot:
        cameras = None if wanted.zone is None else self._cameras_in(wanted.zone) or ()
        alerts: list[AlertEvent] = []
        if not wanted.kinds.isdisjoint(ALERT_EVENTS):
            alerts = [alert for alert in self._alerts.values() if cameras is None or alert.camera_id in cameras]
            alerts = [alert for alert in alerts if wanted.quality or is_about_traffic(alert)]
            alerts.sort(key=lambda alert: (epoch_us(alert.triggered_at), alert.id), reverse=True)
        metrics = self._newest_of("traffic_metrics_update", wanted)
        heatmap = self._newest_of("heatmap_update", wanted)
        rows = None if metrics is None else _decode_rows(metrics.data)
        city = None if metrics is None or metrics.overview is UNSET else _decode_overview(metrics.overview)
        points = None if heatmap is None else _decode_points(heatmap.data)
        if cameras is not None:
            rows = None if rows is None else [row for row in rows if row.camera_id in cameras]
            city = None if city is None else overview_in_zone(city, cameras, self._alerts.values())
            points = None if points is None else [point for point in points if point.camera_id in cameras]
        return Snapshot(alerts, rows, points, city)

    def _newest_of(self, event: str, wanted: EventFilter) -> Envelope | None:
        envelope = self._newest.get(event)
        return None if envelope is None or event not in wanted.kinds else _decode_envelope(envelope)

    def _envelope(self, event: str, data: bytes) -> bytes:
        now = rfc3339(time.time_ns() // 1000)
        return encode_event_data(Envelope(self._seq, event, now, msgspec.Raw(data)))

    def _heartbeat(self) -> bytes:
        since = self._stale_since()
        return self._envelope("heartbeat", b"{}" if since is None else encode_event_data({"stale_since": since}))

    def _stale_since(self) -> str | None:
        """Since when nothing is known of Redis; None while it is heard."""
        heard_at = self._subscription.heard_at
        if heard_at is None or time.time() - heard_at < _STALE_AFTER_SECONDS:
            return None
        return rfc3339(int(heard_at * 1_000_000))

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            if self._loaded.is_set():
                heartbeat = self._heartbeat()
                for wanted, audience in self._audiences.items():
                    if "heartbeat" in wanted.says:
                        self._broadcaster.send(heartbeat, audience)
