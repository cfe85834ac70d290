"""Commands for the person who runs the application: create the topics, show the settings.

What one of them needs is loaded when it is called: showing the settings needs none of the clients.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from pydantic import BaseModel, SecretStr

from trafficapp import logs
from trafficapp.commands.settings import settings_or_message
from trafficapp.commands.troubles import Server, told_in_a_sentence
from trafficapp.settings import Settings, SettingsError, config_path
from trafficapp.settings.deployed_names import NAMES


@click.group()
def topics() -> None:
    """The Kafka topics."""


@topics.command()
@click.option(
    "--wait-seconds", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Wait this long for Kafka."
)
def create(wait_seconds: float) -> None:
    """Create the topics that do not exist yet, and bring the others to what is needed; waits for the broker."""
    from trafficapp.engine.kafka import create_topics, wait_for_kafka
    from trafficapp.engine.kafka_topics import TopicAdmin
    from trafficapp.feeds.declared import FEEDS
    from trafficapp.topics import declared_topics

    logs.install_text(logging.WARNING)
    settings = settings_or_message()
    topics = declared_topics(settings, FEEDS)

    async def run() -> list[str]:
        async with asyncio.timeout(wait_seconds):
            await wait_for_kafka(settings)
        return await create_topics(settings, topics)

    with _troubles_as_messages(settings, "Kafka"):
        created = asyncio.run(run())
        click.echo(f"created {', '.join(created)}" if created else "all topics exist")
        for change in TopicAdmin(settings).bring_up(topics):
            click.echo(f"changed {change}")
        if settings.kafka.open_servers is not None:
            from trafficapp.stack.servers.kafka_access import permit_producers

            permit_producers(settings)


@topics.command(name="begin-anew")
@click.argument("topic")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--without-history", is_flag=True, help="There is no Postgres that keeps offsets of the topic.")
def begin_anew(topic: str, dry_run: bool, without_history: bool) -> None:
    """Throw away what was kept of TOPIC, so that the next start computes it again.

    For when what was kept does not fit the topic any more, and workers say so: it was deleted and made again, or
    partitions were added, so that keys lie in other partitions. Deletes the state that was made from the topic and
    offsets that are not of it, and gives the topics that follow it as many partitions. The same rows come out for what
    is still in the topic.

    \b
    1. Stop all workers.
    2. When partitions were added: pause the producers for longer than a window and its lateness.
    3. trafficapp topics begin-anew TOPIC
    4. Start the workers again, and the producers.
    """  # noqa: D301 - click wants the character
    from trafficapp.engine.begin_anew import plan
    from trafficapp.engine.kafka_topics import TopicAdmin
    from trafficapp.feeds.declared import FEEDS

    settings = settings_or_message()
    with _troubles_as_messages(settings):
        steps = plan(settings, TopicAdmin(settings), topic, with_history=not without_history, feeds=FEEDS)
        for step in steps:
            click.echo(step.words if dry_run else f"{step.words} ... ", nl=dry_run)
            if not dry_run:
                step.do()
                click.echo("done")
    if not dry_run:
        click.echo("now start the workers again")


@topics.command(name="list")
def list_topics() -> None:
    """Show the declared topics: key, partitions, retention."""
    from rich.console import Console
    from rich.table import Table

    from trafficapp.feeds.declared import FEEDS
    from trafficapp.topics import declared_topics

    table = Table("topic", "key", "partitions", "settings", title="Topics")
    for topic in declared_topics(settings_or_message(), FEEDS):
        config = ", ".join(f"{name}={value}" for name, value in topic.config.items())
        table.add_row(topic.name, topic.key, str(topic.partitions), config)
    Console().print(table)


@click.command()
@click.option("--markdown", is_flag=True, help="As a table for documents.")
def settings(markdown: bool) -> None:
    """Show every setting: its value here, its environment variable and what it means."""
    rows = list(_rows(settings_or_message(), Settings, ()))
    if markdown:
        click.echo("| setting | default | environment | what it is |\n|---|---|---|---|")
        for name, _, default, environment, description in rows:
            click.echo(f"| `{name}` | `{default}` | `{environment}` | {description} |")
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[dim]settings file: {config_path() or 'none'}; the environment wins over it[/dim]")
    for name, value, default, environment, description in rows:
        console.print(f"\n[bold]{name}[/bold] = [green]{escape(value)}[/green]" + _unless_same(value, default))
        console.print(f"    {escape(description)}\n    [dim]{environment}[/dim]")


@contextmanager
def _troubles_as_messages(settings: Settings, asked: Server = "Postgres") -> Iterator[None]:
    """What goes wrong is told in words."""
    from trafficapp.engine.begin_anew import CannotBegin

    try:
        with told_in_a_sentence(settings, asked):
            yield
    except (CannotBegin, SettingsError) as error:
        raise click.ClickException(str(error)) from None


def _rows(values: BaseModel, shape: type[BaseModel], path: tuple[str, ...]) -> Any:
    """Rows of name, value, default, environment and description, section by section."""
    for name, info in shape.model_fields.items():
        value = getattr(values, name)
        here = (*path, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, type(value), here)
            continue
        environment = "TRAFFICAPP_" + "__".join(here).upper()
        legacy = [known for known, place in NAMES.items() if place == here]
        default = info.get_default(call_default_factory=True)
        yield (
            ".".join(here),
            _shown(value),
            _shown(default),
            " or ".join([environment, *legacy]),
            info.description or "",
        )


def _unless_same(value: str, default: str) -> str:
    from rich.markup import escape

    return "" if value == default else f" [dim](default {escape(default)})[/dim]"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
