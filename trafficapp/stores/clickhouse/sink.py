"""Runs of records into ClickHouse, each row once whatever crashes, freezes or comes back.

ClickHouse has no transactions over tables, so it cannot move an offset together with rows. Here is why nothing is lost
and nothing comes twice:

* Rows say where in Kafka they come from, and rows of one insertion become one part of the table, whole or not at all.
  Whoever takes over reads on behind the last row that is there, or behind the offset that was written when they were.
* An insertion whose answer was lost is repeated with the same token and the same bytes; ClickHouse knows it again.
* Two processes at once, one of which was frozen, may write the same rows: they have the same key and version, and
  become one when parts are merged, and for every question with FINAL before that.

ClickHouse wants few, large insertions. So runs of all partitions that come within a pause are inserted together.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from trafficapp.engine.state_rows import UNTOLD, SourceLog, continued
from trafficapp.feeds.declaration import Feed
from trafficapp.settings import Settings
from trafficapp.stores.clickhouse import tables
from trafficapp.stores.clickhouse.client import NETWORK, ClickHouse, ClickHouseError, in_words
from trafficapp.stores.feeds.message_rows import MessageRows
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.outage import Abandoned, Outage, retrying
from trafficapp.stores.postgres.sink import HistoryWentBack, SinkCounters

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

LONGEST_PAUSE_SECONDS = 10.0

#: Records of a run that is written without a pause: as many as ClickHouse wants in an insertion at least.
FULL_RUN = 1000

#: Rows of one insertion: far fewer than ClickHouse puts into one block.
MOST_ROWS = 50_000


@dataclass(slots=True, eq=False)
class _Piece:
    """A run that is to be written.

    Attributes:
        rows: values of its rows, in the order of their offsets.
        first, end: offsets of its first record, and behind its last one.
        done: is told when it is written.
    """

    partition: int
    first: int
    end: int
    rows: list[list[Any]]
    counters: SinkCounters
    still_owned: Callable[[], bool]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ClickHouseSink:
    """A `trafficapp.engine.sink.RunSink` that keeps the history of a feed in ClickHouse.

    Args:
        feed: with a history.
        settings: of the process; ``clickhouse.url`` must be there.
        should_stop: asked while ClickHouse is away; True gives up waiting.

    Attributes:
        counters: what was done.
    """

    def __init__(self, feed: Feed[Any], settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> None:
        self._rows_of = MessageRows(feed, settings)
        self._history, self._maker = self._rows_of.history, self._rows_of.maker
        self.topic = feed.kept_topic_in(settings)
        self.name = self._history.table
        self.counters = SinkCounters()
        self._should_stop = should_stop
        self._server = ClickHouse(settings.clickhouse)
        self._outage = Outage(self._server.name, in_words)
        self._lines = tables.LineMaker(self._history, self._maker.newest_by)
        self._pause_seconds = settings.clickhouse.pause_seconds
        self._log_id = ""
        self._next_offsets: dict[int, int] = {}
        self._waiting: list[_Piece] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_urgent = asyncio.Event()
        self._written_at = float("-inf")

    # ------------------------------------------------------------------ of a RunSink

    async def load(self, partitions: Collection[int], log: SourceLog = UNTOLD) -> dict[int, int]:
        """Take over partitions; waits for ClickHouse and its tables. See `RunSink.load`.

        Raises:
            OtherLog: the offsets are of another topic of that name.
            asyncio.CancelledError: told to stop while ClickHouse is away.
        """
        numbers = sorted(set(partitions))
        self._log_id = log.id or self._log_id
        try:
            starts: dict[int, int] = await self._retrying(lambda: self._offsets(numbers), lambda: True)
        except Abandoned:
            raise asyncio.CancelledError(f"{self.name}: told to stop while ClickHouse is away") from None
        self._next_offsets |= starts
        return starts

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Write the rows of consecutive records. See `RunSink.apply`.

        When the partition is lost while ClickHouse is away, nothing is written: the next owner does it.

        Raises:
            asyncio.CancelledError: told to stop while ClickHouse is away.
            HistoryWentBack: rows that were confirmed earlier are no longer there.
        """
        if not records:
            return
        rows, counters = await asyncio.to_thread(self._rows, partition, records)
        piece = _Piece(partition, records[0].offset, records[-1].offset + 1, rows, counters, still_owned)
        self._waiting.append(piece)
        if len(records) >= FULL_RUN:
            # there is likely more where it comes from
            self._is_urgent.set()
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all(), name=f"write {self.name} to ClickHouse")
        try:
            await piece.done
        except Abandoned:
            if still_owned():
                raise asyncio.CancelledError(f"{self.name}: told to stop while ClickHouse is away") from None
            _log.info("%s: partition %d of %s was given up; its next owner goes on", self.name, partition, self.topic)

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions that are no longer ours."""
        for partition in partitions:
            self._next_offsets.pop(partition, None)

    def is_waiting(self) -> bool:
        """Whether ClickHouse is away."""
        return self._outage.lasting

    async def close(self) -> None:
        """Stop writing, and close the connections."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self._server.close()

    # ------------------------------------------------------------------ rows

    def _rows(self, partition: int, records: Sequence[ConsumerRecord]) -> tuple[list[list[Any]], SinkCounters]:
        """Turn messages into values of rows; of several with one key the one that stays. Runs in a thread."""
        counters, newest_by = SinkCounters(), self._maker.newest_by
        kept: dict[Row, tuple[Row, int]] = {}
        for record, (_, row) in self._rows_of.records.of(records, counters):
            key = self._maker.key(row)
            known = kept.get(key)
            counters.repeated += known is not None
            if known is None or (newest_by is not None and known[0][newest_by] <= row[newest_by]):
                kept[key] = row, record.offset
        values = [self._lines.values(row, self._log_id, partition, offset) for row, offset in kept.values()]
        values.sort(key=lambda value: value[-2])
        counters.rows = len(values)
        return values, counters

    # ------------------------------------------------------------------ writing

    async def _write_all(self) -> None:
        """Write what waits until nothing does, a pause after each insertion."""
        pieces: list[_Piece] = []
        try:
            while self._waiting:
                await self._until_due()
                pieces = self._take()
                try:
                    await self._retrying(
                        lambda pieces=pieces: self._write(pieces),  # type: ignore[misc]
                        lambda pieces=pieces: any(piece.still_owned() for piece in pieces),  # type: ignore[misc]
                    )
                except Exception as error:
                    _tell(pieces, error)
                else:
                    for piece in pieces:
                        self.counters.add(piece.counters)
                        if piece.partition in self._next_offsets:
                            self._next_offsets[piece.partition] = max(self._next_offsets[piece.partition], piece.end)
                    _tell(pieces, None)
                self._written_at = time.monotonic()
        finally:
            # stopped in the middle: whoever waits is not left waiting
            left, self._waiting = [*pieces, *self._waiting], []
            _tell(left, Abandoned(f"{self._server.name} was given up"))

    async def _until_due(self) -> None:
        due = self._written_at + self._pause_seconds - time.monotonic()
        if due > 0 and not self._is_urgent.is_set():
            try:
                async with asyncio.timeout(due):
                    await self._is_urgent.wait()
            except TimeoutError:
                pass
        self._is_urgent.clear()

    def _take(self) -> list[_Piece]:
        """Some of what waits, in its order."""
        taken, count = list[_Piece](), 0
        while self._waiting and (not taken or count + len(self._waiting[0].rows) <= MOST_ROWS):
            taken.append(self._waiting.pop(0))
            count += len(taken[-1].rows)
        return taken

    async def _write(self, pieces: Sequence[_Piece]) -> None:
        """Insert rows, then how far they reach.

        Raises:
            ClickHouseError, aiohttp.ClientError, OSError, TimeoutError: it failed, or nobody knows whether it did.
            HistoryWentBack: the server was exchanged for one that knows less.
        """
        if self._outage.lasting:
            await self._check_that_nothing_went(pieces)
        rows = [row for piece in pieces for row in piece.rows]
        if rows:
            spans = ",".join(f"{piece.partition}:{piece.first}-{piece.end}" for piece in pieces)
            left_out = await self._insert(rows, _token(self._log_id, spans))
            if left_out:
                pieces[0].counters.unstorable += left_out
                pieces[0].counters.rows -= left_out
        reached: dict[int, int] = {}
        for piece in pieces:
            reached[piece.partition] = max(piece.end, reached.get(piece.partition, 0))
        database = self._server.database
        lines = tables.offsets_lines(self.name, self.topic, self._log_id, reached)
        await self._server.insert(tables.offsets_insertion(database), lines)

    async def _insert(self, rows: Sequence[list[Any]], token: str) -> int:
        """Insert rows, without those whose values the table refuses.

        Halves them until the refused ones stand alone, the earlier half first: whatever was written when we are killed
        is the beginning.

        Returns:
            how many rows were left out; each is logged.
        """
        try:
            statement = tables.insertion(self._history, self._server.database, token)
            await self._server.insert(statement, self._lines.lines(rows))
        except ClickHouseError as error:
            if not error.is_of_values:
                raise
            if len(rows) == 1:
                _log.error("left out a row that ClickHouse refuses (%s): %.500r", error, rows[0])
                return 1
        else:
            return 0
        middle = len(rows) // 2
        left_out = await self._insert(rows[:middle], f"{token}0")
        return left_out + await self._insert(rows[middle:], f"{token}1")

    async def _check_that_nothing_went(self, pieces: Sequence[_Piece]) -> None:
        expected = {piece.partition: self._next_offsets.get(piece.partition, 0) for piece in pieces}
        for partition, offset in (await self._offsets(sorted(expected))).items():
            if offset < expected[partition]:
                raise HistoryWentBack(
                    f"{self.name}: partition {partition} of {self.topic} is at {offset} in ClickHouse, "
                    f"was at {expected[partition]}"
                )

    async def _offsets(self, partitions: Sequence[int]) -> dict[int, int]:
        """Where to read on."""
        if not partitions:
            return {}
        database, starts, foreign = self._server.database, dict[int, int](), dict[int, str]()
        for row in await self._server.ask(tables.kept_offsets(self.name, self.topic, database, partitions)):
            if row["kafka_log"] in ("", self._log_id):
                partition = int(row["partition"])
                starts[partition] = max(int(row["next_offset"]), starts.get(partition, 0))
            else:
                foreign[int(row["partition"])] = row["kafka_log"]
        for partition, log_id in foreign.items():
            if partition not in starts:
                continued(SourceLog(log_id), SourceLog(self._log_id))
        for row in await self._server.ask(tables.largest_offsets(self._history, database, self._log_id, partitions)):
            partition = int(row["partition"])
            starts[partition] = max(int(row["next_offset"]), starts.get(partition, 0))
        return dict.fromkeys(partitions, 0) | starts

    async def _retrying(self, action: Callable[[], Awaitable[_Result]], may_go_on: Callable[[], bool]) -> _Result:
        """Do something until ClickHouse answers it.

        Raises:
            Abandoned: told to stop, or `may_go_on` said no.
            Exception: what has nothing to do with ClickHouse being away.
        """
        return await retrying(
            action,
            self._outage,
            lambda: may_go_on() and not self._should_stop(),
            lambda error: isinstance(error, (ClickHouseError, *NETWORK)),
            LONGEST_PAUSE_SECONDS,
        )


def _tell(pieces: Sequence[_Piece], error: BaseException | None) -> None:
    for piece in pieces:
        if not piece.done.done():
            if error is None:
                piece.done.set_result(None)
            else:
                piece.done.set_exception(error)


def _token(log_id: str, spans: str) -> str:
    return hashlib.sha256(f"{log_id} {spans}".encode()).hexdigest()[:32]
