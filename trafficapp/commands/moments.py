"""Times on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click


class MomentType(click.ParamType):
    """A time in ISO 8601, UTC without an offset."""

    name = "time"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not ISO 8601", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
