"""Our commands of ``faust -A trafficapp``: run without a worker around them, so that what goes wrong is a sentence."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar, NoReturn

import click
from faust.cli import AppCommand, option

#: Beside Faust's own ``faust --json``, which stands before the command's name.
json_option = option("--json", "as_json", is_flag=True, help="Print JSON.")


class PlainCommand(AppCommand):
    """Base of our commands; each takes ``as_json`` of `json_option`."""

    abstract: ClassVar[bool] = True

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Run it and end with its exit status; a `click.ClickException` is its message and 1."""
        given = {**self.kwargs, **kwargs}
        given["as_json"] = bool(given.get("as_json")) or self.json
        try:
            asyncio.run(self.execute(*self.args, *args, **given))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        sys.exit(0)
