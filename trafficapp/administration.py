"""Commands for the person who runs the application: create the topics, show the settings."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import click
from pydantic import BaseModel, SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trafficapp.kafka import create_topics, wait_for_kafka
from trafficapp.settings import LEGACY_NAMES, Settings, SettingsError, config_path, load_settings
from trafficapp.topics import declared_topics


@click.group()
def topics() -> None:
    """The Kafka topics."""


@topics.command()
def create() -> None:
    """Create the topics that do not exist yet; waits for the broker."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = _settings()

    async def run() -> list[str]:
        await wait_for_kafka(settings)
        return await create_topics(settings, declared_topics(settings))

    created = asyncio.run(run())
    click.echo(f"created {', '.join(created)}" if created else "all topics exist")


@topics.command(name="list")
def list_topics() -> None:
    """Show the declared topics: key, partitions, retention."""
    table = Table("topic", "key", "partitions", "settings", title="Topics")
    for topic in declared_topics(_settings()):
        config = ", ".join(f"{name}={value}" for name, value in topic.config.items())
        table.add_row(topic.name, topic.key, str(topic.partitions), config)
    Console().print(table)


@click.command()
@click.option("--markdown", is_flag=True, help="As a table for documents.")
def settings(markdown: bool) -> None:
    """Show every setting: its value here, its environment variable and what it means."""
    rows = list(_rows(_settings(), Settings, ()))
    if markdown:
        click.echo("| setting | default | environment | what it is |\n|---|---|---|---|")
        for name, _, default, environment, description in rows:
            click.echo(f"| `{name}` | `{default}` | `{environment}` | {description} |")
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[dim]settings file: {config_path() or 'none'}; the environment wins over it[/dim]")
    for name, value, default, environment, description in rows:
        console.print(f"\n[bold]{name}[/bold] = [green]{escape(value)}[/green]" + _unless_same(value, default))
        console.print(f"    {escape(description)}\n    [dim]{environment}[/dim]")


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
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
        legacy = [known for known, place in LEGACY_NAMES.items() if place == here]
        default = info.get_default(call_default_factory=True)
        yield (
            ".".join(here),
            _shown(value),
            _shown(default),
            " or ".join([environment, *legacy]),
            info.description or "",
        )


def _unless_same(value: str, default: str) -> str:
    return "" if value == default else f" [dim](default {escape(default)})[/dim]"


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(secret)"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)
