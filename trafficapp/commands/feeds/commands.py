"""The command ``trafficapp feeds``: the table, and its subcommands ``check`` and ``sample``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import click
import msgspec

from trafficapp.commands.feeds.checking import Counts, SentAt, judged, now_us, sending_time
from trafficapp.commands.feeds.message_files import UnreadableFile
from trafficapp.commands.settings import settings_or_message
from trafficapp.feeds.incoming import Incoming
from trafficapp.incoming import incoming_feeds
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.settings import Settings

#: How many refused messages are shown unless all are asked for.
_SHOWN = 20

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _SentAt(click.ParamType):
    name = "now|own|time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Callable[[], SentAt]:
        if callable(value):
            return value
        try:
            return sending_time(str(value))
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither now nor own nor a time such as 2026-11-20T08:00:00Z", param, ctx)


@click.group(invoke_without_command=True)
@click.option("--minutes", type=click.IntRange(1, 60), default=5, show_default=True, help="Over which messages count.")
@click.option("--markdown", is_flag=True, help="What is declared, as a table for documents; asks no broker.")
@_json_option
@click.pass_context
def feeds(ctx: click.Context, minutes: int, markdown: bool, as_json: bool) -> None:
    """What comes in: topics, rates, lags, refused messages; checks and samples for who connects a producer.

    Without a command, asks the broker about every topic that is read from outside.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings = settings_or_message()
    if markdown:
        from trafficapp.commands.feeds.markdown import table_of

        click.echo(table_of(settings))
        return
    from trafficapp.commands.feeds.showing import show_feeds

    asyncio.run(show_feeds(settings, minutes, as_json))


@feeds.command()
@click.argument("name")
@click.argument("files", type=click.Path(path_type=Path, allow_dash=True), nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--sent", type=_SentAt(), default="now", show_default=True,
    help="When the messages are sent: now, at the time that each tells (own), or at a time.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help=f"Show all that is refused, not only the first {_SHOWN}.")
@_json_option
def check(name: str, files: tuple[Path, ...], sent: Callable[[], SentAt], every: bool, as_json: bool) -> None:
    """Say which messages of FILE would be accepted by the feed NAME, which not, and why; nothing is sent.

    FILE holds JSON lines, a JSON array, or one message, also as .gz; - is stdin. Messages are read by the code and the
    settings that the workers have. Each is taken as under its right key. What depends on what came before (late or
    repeated detections) is not told. The exit status is 1 when anything is refused.

    \b
    trafficapp feeds check road-speeds speeds.jsonl
    trafficapp feeds check cameras --sent own yesterday.jsonl.gz
    trafficapp feeds sample road-speeds | trafficapp feeds check road-speeds -
    """  # noqa: D301 - click wants the character
    settings = settings_or_message()
    feed = _feed(settings, name)
    counts = Counts()
    try:
        found = judged(files, feed.judge(settings), sent, counts)
        shown = list(found if every else islice(found, _SHOWN))
        hidden = sum(1 for _ in found)
    except (UnreadableFile, GraphError) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        told = {
            "messages": counts.messages, "accepted": counts.accepted, "partly": counts.partly,
            "repeated": counts.repeated, "refused": counts.refused, "reasons": counts.reasons, "shown": shown,
            "hidden": hidden,
        }  # fmt: skip
        click.echo(msgspec.json.encode(told).decode())
    else:
        for one in shown:
            left_out = "left out: " if one.accepted else ""
            click.echo(f"{one.file}:{one.line}: {left_out}{one.reason}: {printable(one.detail)}")
        if hidden:
            click.echo(f"… and {hidden:,} more; --all shows them")
        click.echo(_summary(feed, counts))
    click.get_current_context().exit(0 if counts.are_fine else 1)


@feeds.command()
@click.argument("name")
@click.option("--form", help="Of messages that have several forms; without it the usual one.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of what is accepted instead.")
def sample(name: str, form: str | None, schema: bool) -> None:
    """Print a valid message of the feed NAME, with the present time.

    \b
    trafficapp feeds sample cameras --form frame
    trafficapp feeds sample road-speeds --schema
    """  # noqa: D301 - click wants the character
    settings = settings_or_message()
    feed = _feed(settings, name)
    if schema:
        from models.described_schemas import schema_of

        click.echo(json.dumps(schema_of(feed.shapes), indent=2, ensure_ascii=False))
        return
    try:
        examples = {example.form: example for example in feed.examples(settings)}
    except GraphError as error:
        raise click.ClickException(str(error)) from None
    if form is not None and form not in examples:
        raise click.ClickException(f"{name} has no form {form!r}; there are: {', '.join(examples)}")
    example = examples[form] if form else next(iter(examples.values()))
    # cameras tell milliseconds, and everybody may
    click.echo(json.dumps(example.as_of(now_us() // 1000 * 1000), ensure_ascii=False))


def printable(text: str) -> str:
    """A text without control characters for the terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _feed(settings: Settings, name: str) -> Incoming:
    known = {feed.name: feed for feed in incoming_feeds(settings)}
    by_topic = {feed.topic: feed for feed in known.values()}
    found = known.get(name) or by_topic.get(name)
    if found is None:
        raise click.ClickException(f"there is no feed {name!r}; there are: {', '.join(known)}")
    return found


def _summary(feed: Incoming, counts: Counts) -> str:
    if not counts.messages:
        return "no messages"
    told = f"{counts.messages:,} {'message' if counts.messages == 1 else 'messages'}: {counts.accepted:,} accepted"
    if counts.partly:
        told += f" ({counts.partly:,} of them in part)"
    if counts.repeated:
        told += f" ({counts.repeated:,} of them repeated)"
    told += f", {counts.refused:,} refused"
    if counts.reasons:
        told += ": " + ", ".join(f"{reason} {count:,}" for reason, count in counts.reasons.most_common())
    return told
