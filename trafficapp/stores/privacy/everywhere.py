"""A vehicle wherever it stands: found, and erased."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from models.timestamps import epoch_us, rfc3339
from trafficapp.analytics.local_hours import time_zone
from trafficapp.feeds.declaration import Feed, rules_of
from trafficapp.feeds.rules import ERASED_HEADER
from trafficapp.privacy.names import Names
from trafficapp.privacy.places import VEHICLE_COLUMNS
from trafficapp.privacy.pseudonyms import known_pseudonyms_of
from trafficapp.settings import Settings
from trafficapp.stores.administration.audit_queries import Actor, record_audit
from trafficapp.stores.clickhouse.client import ClickHouse, ClickHouseError
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.postgres.publications import KafkaPublication, record
from trafficapp.stores.privacy import dumps, lake, postgres, redis
from trafficapp.stores.privacy.topics import gone_by
from trafficapp.stores.redis.connection import connect

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool


@dataclass(slots=True)
class Found:
    """What was found or erased, by store and place; and what goes by itself.

    Attributes:
        counts: rows, keys or members by place, by store.
        topics: when what is in topics now is gone, RFC 3339.
        notes: what a person has to know or to do.
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    topics: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All of it."""
        return sum(sum(places.values()) for places in self.counts.values())

    def add(self, store: str, places: dict[str, int]) -> None:
        """Note what one store has."""
        known = self.counts.setdefault(store, {})
        for place, count in places.items():
            known[place] = known.get(place, 0) + count


def names_of(known_id: str, settings: Settings, now: datetime | None = None) -> Names:
    """All names of an id, by the settings' key and by how long things are kept."""
    today = (now or datetime.now(UTC)).astimezone(time_zone(settings.roads.zone)).date()
    kept = [settings.fleet.history_days + 31, settings.fleet.drives_days + 31, settings.retention.events_hours / 24]
    kept += [settings.retention.notifications_days, settings.transit.positions_days + 31]
    if settings.lake.url is not None:
        kept.append(settings.lake.days)
    return Names(known_id, known_pseudonyms_of(settings), today, int(max(kept)) + 2)


async def find(pool: Pool, feeds: Sequence[Feed[Any]], settings: Settings, names: Names) -> Found:
    """Look everywhere; nothing is changed."""
    found = Found()
    async with pool.acquire() as connection:
        found.add("Postgres", await postgres.find(connection, names))
    await _in_copies(settings, names, found, erase=False)
    found.add("dumps", {path.name: n for path, n in (await _dumps(settings, names, found.notes, erase=False)).items()})
    _tell_topics(found, feeds, settings)
    return found


async def erase(
    pool: Pool,
    feeds: Sequence[Feed[Any]],
    settings: Settings,
    names: Names,
    actor: Actor,
    *,
    with_dumps: bool = False,
    again_after_seconds: float = 15.0,
) -> Found:
    """Erase it everywhere, twice: what was on its way the first time has arrived by the second.

    Workers are told through the outbox to forget it (`trafficapp.feeds.rules.ErasingRules`).

    Args:
        pool: of Postgres.
        feeds: that are declared.
        settings: of the process.
        names: of whom.
        actor: for the audit log, which has a hash of the id alone.
        with_dumps: whether dumps that have it are deleted, too.
        again_after_seconds: how long sinks may take.
    """
    found = Found()
    async with pool.acquire() as connection, connection.transaction():
        found.add("Postgres", await postgres.erase(connection, names))
        told = [
            KafkaPublication(
                topic=rules.topic_in(settings),
                key=None,
                value=msgspec.json.encode(names.all).decode(),
                headers={ERASED_HEADER: ""},
                partitions="all",
            )
            for rules in rules_of(feeds, settings)
        ]
        await record(connection, told)
        await record_audit(connection, actor, "privacy.erase", _audited(names, settings), after=found.counts)
    await _in_copies(settings, names, found, erase=True)
    if again_after_seconds:
        await asyncio.sleep(again_after_seconds)
        async with pool.acquire() as connection, connection.transaction():
            found.add("Postgres", await postgres.erase(connection, names))
        await _in_copies(settings, names, found, erase=True)
    gone = await _dumps(settings, names, found.notes, erase=with_dumps)
    if with_dumps:
        found.add("dumps", {path.name: count for path, count in gone.items()})
    elif gone:
        found.notes.append(
            f"{len(gone)} dumps have it and stay, until {settings.backup.keep} newer ones are there: "
            + ", ".join(str(path) for path in gone)
        )
    _tell_topics(found, feeds, settings)
    found.notes.append(
        "workers forget it within seconds of reading that they must; an emptied Redis may be filled with its newest "
        "place for another hour; if it goes on sending, it is seen anew"
    )
    return found


async def _in_copies(settings: Settings, names: Names, found: Found, *, erase: bool) -> None:
    """Look in what was made of topics beside Postgres, and erase what is found or leave it."""
    client = connect(settings.redis.url.get_secret_value())
    try:
        found.add("Redis", await (redis.erase if erase else redis.find)(client, names))
    finally:
        await client.aclose()
    if settings.lake.url is not None:
        in_lake = lake.erase if erase else lake.find
        found.add("lake", await asyncio.to_thread(in_lake, Storage(settings.lake.url), names))
    if settings.clickhouse.url is not None:
        server = ClickHouse(settings.clickhouse)
        found.add("ClickHouse", await _in_clickhouse(server, names, erase=erase))


async def _in_clickhouse(server: ClickHouse, names: Names, *, erase: bool) -> dict[str, int]:
    """In whatever tables there are: a feed may have been kept once that is not any more."""
    found = dict[str, int]()
    listed = ", ".join(map(_literal, names.all))
    declared = ", ".join(map(_literal, VEHICLE_COLUMNS))
    try:
        tables = await server.ask(
            f"SELECT name FROM system.tables WHERE database = {_literal(server.database)} "  # noqa: S608 - declared
            f"AND name IN ({declared}) ORDER BY name"
        )
        for table in (row["name"] for row in tables):
            place = f"`{server.database}`.`{table}`"
            which = " OR ".join(f"{column} IN ({listed})" for column in VEHICLE_COLUMNS[table])
            (row,) = await server.ask(f"SELECT count() AS n FROM {place} WHERE {which}")  # noqa: S608 - declared
            if count := int(row["n"]):
                found[table] = count
                if erase:
                    await server.do(f"ALTER TABLE {place} DELETE WHERE {which} SETTINGS mutations_sync = 0")
                    await _until_gone(server, table)
    finally:
        await server.close()
    return found


async def _until_gone(server: ClickHouse, table: str) -> None:
    """Wait until rows are gone from the disk: of a large table that takes longer than a statement may.

    Raises:
        ClickHouseError: the server cannot.
    """
    question = (
        f"SELECT latest_fail_reason AS reason FROM system.mutations WHERE database = {_literal(server.database)} "  # noqa: S608
        f"AND table = {_literal(table)} AND NOT is_done ORDER BY reason DESC LIMIT 1"
    )
    while doing := await server.ask(question):
        if doing[0]["reason"]:
            raise ClickHouseError(None, doing[0]["reason"])
        await asyncio.sleep(0.1)


def _literal(text: str) -> str:
    """A text as ClickHouse reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


async def _dumps(settings: Settings, names: Names, notes: list[str], *, erase: bool) -> dict[Any, int]:
    try:
        return await asyncio.to_thread(dumps.erase if erase else dumps.find, settings.backup.folder, names)
    except OSError as error:
        notes.append(f"dumps in {settings.backup.folder} were not looked at: {error}")
        return {}


def _tell_topics(found: Found, feeds: Sequence[Feed[Any]], settings: Settings) -> None:
    now = datetime.now(UTC) + timedelta(seconds=1)
    found.topics = {name: rfc3339(epoch_us(until)) for name, until in gone_by(feeds, settings, now).items()}


def _audited(names: Names, settings: Settings) -> str:
    """What the audit log says of whom: who knows the id, and the key where there is one, can tell that it is his."""
    key = settings.privacy.key()
    said = names.known_id.encode("utf-8", "surrogatepass")
    if key is not None:
        return f"hmac-sha256 {hmac.digest(key, b'erased ' + said, 'sha256').hex()}"
    salt = secrets.token_hex(16)
    return f"sha256 {salt} {hashlib.sha256(salt.encode() + said).hexdigest()}"
