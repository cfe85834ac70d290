"""What commands print for programs."""

from __future__ import annotations

import click
import msgspec


def print_json(value: object) -> None:
    """Print what msgspec can encode, on one line."""
    click.echo(msgspec.json.encode(value).decode())
