"""Faust's worker, logging as JSON from its banner on."""

from __future__ import annotations

import sys
from typing import Any

from faust.worker import Worker

from trafficapp.logs import install


class JsonWorker(Worker):
    """Chosen by the application when ``logging.format`` is ``json``."""

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        settings = app.settings
        install(settings.worker.role, settings.logging.level)
        # the command that makes us has kept the streams as they were, and prints the banner there
        for kept, ours in ((sys.__stdout__, sys.stdout), (sys.__stderr__, sys.stderr)):
            if kept is not None:
                kept.write = ours.write  # type: ignore[method-assign]
        super().__init__(app, *args, **kwargs)
        # it would draw on the terminal
        self.spinner = None

    def _setup_logging(self) -> None:
        """It is set up."""
