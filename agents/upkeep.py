"""Trains, backs up and reports by the clock, if the settings say so: role ``history``, one worker of all."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.history_telemetry import UpkeepTelemetry
from trafficapp.settings import Settings
from trafficapp.settings.due_times import DueTimes
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.training.commands import NOT_BETTER
from trafficapp.upkeep.backup import back_up
from trafficapp.upkeep.needs import lacking
from trafficapp.upkeep.processes import run_program
from trafficapp.upkeep.scheduled_reports import make_report
from trafficapp.upkeep.turns import Task, take_turn

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0


def tasks(settings: Settings) -> list[Task]:
    """What is to be done by the clock."""
    zone = settings.roads.zone

    # both are due at the same time; this machine has other work too
    one_training = asyncio.Lock()

    def training(what: str) -> Callable[[], Awaitable[str]]:
        # the settings of this process are in its environment and its working directory, which the command inherits
        options = ["--what", what, "--from", "postgres", "--promote"]

        async def train() -> str:
            command = [sys.executable, "-m", "trafficapp.cli", "train", *options]
            async with one_training:
                # the same history would again give a model that is not better
                return await run_program(command, done=(0, NOT_BETTER))

        return train

    async def backup() -> str:
        return f"{await back_up(settings.postgres.url.get_secret_value(), settings.backup)} written"

    def report(days: int) -> Callable[[], Awaitable[str]]:
        return partial(make_report, settings, zone, days)

    weekly = DueTimes.read(settings.forecast.train_weekly, zone)
    wanted = (
        ("training", weekly, training("roads")),
        ("training_cameras", weekly, training("cameras")),
        ("backup", DueTimes.read(settings.backup.nightly, zone), backup),
        ("report_daily", DueTimes.read(settings.reports.daily, zone), report(1)),
        ("report_weekly", DueTimes.read(settings.reports.weekly, zone), report(7)),
    )
    return [Task(name, times, work) for name, times, work in wanted if times is not None]


def register(app: TrafficApp) -> None:
    """Put what is wanted on an application; a task of its own for each, so that neither waits for the other."""
    telemetry = UpkeepTelemetry(app.telemetry.registry)

    def look_after(task: Task) -> None:
        @app.task
        async def keep_up() -> None:
            async with create_pool(app.settings.postgres) as pool:
                while not app.should_stop:
                    try:
                        standing = await take_turn(pool, task)
                        telemetry.show(task.name, standing.succeeded_at, failed=standing.failed)
                    except Exception as error:
                        # the sinks beside us tell that Postgres is away
                        if not is_transient(error):
                            logger.exception("%s cannot be looked after", task.name)
                    await asyncio.sleep(_LOOK_SECONDS)

    wanted = tasks(app.settings)
    for task in wanted:
        look_after(task)

    if wanted:

        @app.task
        async def warn() -> None:
            # now, while somebody looks, and not on Sunday night
            for reason in await asyncio.to_thread(lacking, app.settings):
                logger.warning("%s", reason)
