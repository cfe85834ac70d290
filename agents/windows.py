"""Agent for ``traffic.events.raw``: detections in, final windows, dead letters and state out.

The order of effects makes it exact: a run is applied in memory, its rows and dead letters are
acknowledged by the broker, and only then the state that covers the run may be written. A crash in
between repeats the run, which gives the same rows again, byte for byte.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from aiokafka import ConsumerRecord
from aiokafka.structs import RecordMetadata

from models.dead_letters import DeadLetter, encode_dead_letter
from models.detections import TICK_HEADER, DetectionDecoder
from models.window_rows import encode_window_row
from trafficapp.application import TrafficApp
from trafficapp.batching.fatal import Exit, end_process
from trafficapp.outbox import Outbox
from trafficapp.settings import Settings
from trafficapp.state import CameraStateLog
from trafficapp.stores.startup import tell_missing_stores
from trafficapp.telemetry import Telemetry
from trafficapp.topics import DEAD_LETTERS, EVENTS_RAW, METRICS
from trafficapp.windows.partition import Outcome, PartitionWindows
from trafficapp.windows.rules import windower_rules

logger = logging.getLogger(__name__)

#: Longest time that applied events wait for their state rows; a crash repeats no more than this.
_STATE_SECONDS = 0.5

#: All rows of a partition are written again after this time, so that compaction, which keeps the last
#: row written, never has only the stale row of a frozen process to keep.
_REWRITE_SECONDS = 600.0


#: A tick that has not come back for this long, with nothing else applied either, is sent again: what comes
#: after a run that was dropped on its way shows that there is a hole.
_TICK_LOST_SECONDS = 5.0


@dataclass(slots=True)
class _Partition:
    windows: PartitionWindows
    written: float
    rewritten: float
    lock: asyncio.Lock
    applied: float
    dirty: bool = False
    tick_pending: int | None = None
    tick_sent: float = 0.0


class WindowsSink:
    """Applies runs to the cameras of their partition and sends what comes of it."""

    def __init__(self, settings: Settings, outbox: Outbox, state: CameraStateLog, telemetry: Telemetry) -> None:
        self._settings = settings
        self._outbox = outbox
        self._state = state
        self._telemetry = telemetry
        self._rules = windower_rules(settings)
        self._decoder = DetectionDecoder(settings.vehicle_classes, settings.speed.max_kmh)
        self._future_us = round(settings.windows.future_guard_seconds * 1e6)
        self._partitions: dict[int, _Partition] = {}

    async def load(self, partitions: Collection[int]) -> dict[int, int]:
        """Take over partitions: their state rows say where to read on."""
        loaded = await self._state.load(partitions)
        now = time.monotonic()
        starts = {}
        for partition in partitions:
            windows = PartitionWindows(partition, self._rules, self._decoder, self._future_us, loaded[partition])
            # written again soon after a take-over, then now and then
            rewritten = now - _REWRITE_SECONDS + 2 * self._settings.kafka.session_timeout_seconds
            self._partitions[partition] = _Partition(windows, now, rewritten, asyncio.Lock(), now)
            starts[partition] = windows.state.applied + 1
        return starts

    def release(self, partitions: Collection[int]) -> None:
        """Forget the decoded state; the rows stay for the next time."""
        for partition in partitions:
            self._partitions.pop(partition, None)

    def is_waiting(self) -> bool:
        """Kafka is the only store: when it is away, there are no records to wait with."""
        return False

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Apply a run; returns when its rows and dead letters are acknowledged."""
        one = self._partitions[partition]
        async with one.lock:
            outcome = one.windows.apply(records)
            one.dirty, one.applied = True, time.monotonic()
            await self._send(partition, outcome)
            if not still_owned():
                return
            if one.tick_pending is not None and one.windows.state.applied >= one.tick_pending:
                one.tick_pending = None
            if time.monotonic() - one.written >= _STATE_SECONDS:
                await self._write_state(partition, one)
        self._count(outcome)

    async def write_pending_state(self) -> None:
        """Write the state of partitions whose runs have been waiting for it."""
        now = time.monotonic()
        for partition, one in list(self._partitions.items()):
            if not one.dirty or now - one.written < _STATE_SECONDS or one.lock.locked():
                continue
            async with one.lock:
                if self._partitions.get(partition) is one:
                    await self._write_state(partition, one)

    async def flush(self) -> None:
        """Write all state that is not written yet; returns when it is acknowledged."""
        for partition, one in list(self._partitions.items()):
            async with one.lock:
                if one.dirty and self._partitions.get(partition) is one:
                    await self._write_state(partition, one)
        await self._state.flush()

    async def send_ticks(self) -> None:
        """Send a tick to each of our partitions that has none on its way.

        A tick is a record on the partition itself, so it stands behind everything that came before it:
        silence counts only once the partition is read to its end.
        """
        now = time.monotonic()
        for partition, one in list(self._partitions.items()):
            if one.tick_pending is not None and now - max(one.tick_sent, one.applied) < _TICK_LOST_SECONDS:
                continue
            one.tick_pending, one.tick_sent = 1 << 62, now
            acknowledgements = await self._outbox.send(EVENTS_RAW, partition, [(None, b"")], [(TICK_HEADER, b"")])
            metadata = await self._acknowledged(acknowledgements, "a tick")
            if one.windows.state.applied >= metadata[-1].offset:
                one.tick_pending = None
            else:
                one.tick_pending = metadata[-1].offset

    async def _send(self, partition: int, outcome: Outcome) -> None:
        acknowledgements = []
        if outcome.rows:
            rows = [(row.camera_id.encode(), encode_window_row(row)) for row in outcome.rows]
            acknowledgements += await self._outbox.send(METRICS, partition, rows)
        if outcome.dead_letters:
            letters = [(_source_key(letter), encode_dead_letter(letter)) for letter in outcome.dead_letters]
            acknowledgements += await self._outbox.send(DEAD_LETTERS, partition, letters)
        if acknowledgements:
            await self._acknowledged(acknowledgements, "finished windows")

    async def _acknowledged(
        self, acknowledgements: list[asyncio.Future[RecordMetadata]], what: str
    ) -> list[RecordMetadata]:
        try:
            return [await acknowledgement for acknowledgement in acknowledgements]
        except asyncio.CancelledError:
            raise
        except Exception as error:
            end_process(Exit.SEND_FAILED, f"{what}: {error!r}")

    async def _write_state(self, partition: int, one: _Partition) -> None:
        now = time.monotonic()
        if now - one.rewritten >= _REWRITE_SECONDS:
            one.rewritten = now
            rows = one.windows.all_rows()
        else:
            rows = one.windows.changed_rows()
        one.written, one.dirty = now, False
        await self._state.write(partition, rows)

    def _count(self, outcome: Outcome) -> None:
        telemetry = self._telemetry
        telemetry.events_processed.inc(outcome.counted)
        telemetry.window_flushes.inc(len(outcome.rows))
        if outcome.repeated:
            telemetry.events_dropped.labels("duplicate").inc(outcome.repeated)
        for reason, count in outcome.rejected.items():
            telemetry.events_dropped.labels(reason).inc(count)


def _source_key(letter: DeadLetter) -> bytes | None:
    return None if letter.key_base64 is None else base64.b64decode(letter.key_base64)


def register(app: TrafficApp) -> None:
    """Declare the topic, the table of camera states and the agent on an application."""
    state = CameraStateLog(app.settings, app.outbox)
    sink = WindowsSink(app.settings, app.outbox, state, app.telemetry)
    app.declare_state_table("camera_state", "state of each camera: open windows, watermark, counts", state.view())
    app.read_in_runs(EVENTS_RAW, sink, name="windows")
    app.flush_at_end(sink.flush)

    @app.task
    async def tell_missing() -> None:
        await tell_missing_stores(app.settings, lambda: not app.should_stop)

    @app.timer(interval=_STATE_SECONDS / 2)
    async def write_pending_state() -> None:
        await sink.write_pending_state()

    @app.timer(interval=app.settings.windows.tick_seconds)
    async def send_ticks() -> None:
        await sink.send_ticks()
