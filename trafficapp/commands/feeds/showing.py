"""Shows how feeds stand, as a table or as JSON."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from models.timestamps import rfc3339
from trafficapp.commands.feeds.standing import Standing, standings
from trafficapp.commands.json_output import print_json
from trafficapp.commands.troubles import told_in_a_sentence
from trafficapp.incoming import incoming_feeds
from trafficapp.settings import Settings


async def show_feeds(settings: Settings, minutes: int, as_json: bool) -> None:
    """Print how all feeds stand.

    Raises:
        click.ClickException: Kafka is away.
    """
    with told_in_a_sentence(settings, "Kafka"):
        found = await standings(settings, incoming_feeds(settings), minutes)
    if as_json:
        print_json([_plain(one) for one in found])
        return
    now_us = time.time_ns() // 1000
    columns = (
        *("feed", Column("a minute", justify="right"), Column("not done yet", overflow="fold"), "refused"),
        *(Column("newest event", no_wrap=True), "kept"),
    )
    table = Table(*columns, title=f"What comes in, over {minutes} min", title_justify="left", show_lines=True)
    for one in found:
        key = "any key" if one.feed.any_key else f"by {one.feed.key}"
        table.add_row(f"{one.feed.name}\n{one.feed.topic}\n{key}", *_figures(one, now_us))
    Console().print(table)


def duration(seconds: float) -> str:
    """A time in words of the largest unit that it has at least two of."""
    for unit, length in (("d", 86_400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.0f} s"


def _figures(one: Standing, now_us: int) -> tuple[str, ...]:
    if not one.exists:
        return ("no topic", "", _refused(one), "", "")
    behind = "\n".join(f"{group}: {lag:,}" for group, lag in one.lags.items()) or "nobody reads it"
    newest = "none"
    if one.newest_us is not None:
        whole_second_us = one.newest_us // 1_000_000 * 1_000_000
        newest = f"{rfc3339(whole_second_us)}\n{duration(max(now_us - one.newest_us, 0) / 1e6)} ago"
    kept = "for ever" if one.retention_seconds is None else duration(one.retention_seconds)
    return (f"{one.per_minute:,.4g}", behind, _refused(one), newest, kept)


def _refused(one: Standing) -> str:
    letters = one.letters
    count = f"{'' if letters.are_all else 'at least '}{letters.reasons.total():,}"
    return "\n".join([count, *(f"{reason}: {times:,}" for reason, times in letters.reasons.most_common(5))])


def _plain(one: Standing) -> dict[str, Any]:
    """As values of JSON; times are RFC 3339, None where there is none."""
    return {
        "name": one.feed.name,
        "topic": one.feed.topic,
        "key": one.feed.key,
        "any_key": one.feed.any_key,
        "exists": one.exists,
        "partitions": one.partitions,
        "messages_per_minute": round(one.per_minute, 2),
        "lag": one.lags,
        "dead_letters": dict(one.letters.reasons),
        "dead_letters_are_all": one.letters.are_all,
        "newest_event": None if one.newest_us is None else rfc3339(one.newest_us),
        "retention_seconds": one.retention_seconds,
    }
