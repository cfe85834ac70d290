"""The command ``trafficapp train``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trafficapp.commands.moments import MomentType
from trafficapp.commands.settings import settings_or_message
from trafficapp.forecast.quantities import CONGESTION_SCORE, SPEED
from trafficapp.settings import Settings
from trafficapp.training.one_at_a_time import TrainingBusyError, alone_in

if TYPE_CHECKING:
    from trafficapp.forecast.artifacts.registry import ModelRegistry
    from trafficapp.stores.roads.history import StoredHistory

ROADS, CAMERAS = "roads", "cameras"

#: What is trained unless another model is asked for.
DEFAULT_KINDS = {ROADS: "ours", CAMERAS: "stgcn"}

#: Exit code when a model was trained that must not be promoted, since a simple rule is as good. Trying again is no use.
NOT_BETTER = 3

_NEEDS = "training needs torch and onnx: pip install 'trafficapp[train]'"
_POSTGRES = "postgres"


@click.command()
@click.option("--what", type=click.Choice(list(DEFAULT_KINDS)), default="roads", show_default=True,
              help="roads: their speeds. cameras: the congestion scores of cameras and lanes.")  # fmt: skip
@click.option("--model", "kind", type=click.Choice(["lstm", "stgcn", "ours"]),
              help="Else ours for roads, stgcn for cameras.")  # fmt: skip
@click.option("--from", "source", required=True, metavar="postgres|FILE",
              help="postgres: what feed or cameras said (DATABASE_URL). FILE: .parquet (road_id, timestamp, speed_kmh; "
                   "of cameras entity, timestamp, congestion_score) or .npz.")  # fmt: skip
@click.option("--since", type=MomentType(), help="Postgres: from when on; else forecast.train_days before the end.")
@click.option("--until", type=MomentType(), help="Postgres: up to when; else now.")
@click.option("--links", metavar="graph|FILE",
              help="FILE: which roads follow each other: .parquet (from_road, to_road, weight), or graph.")  # fmt: skip
@click.option("--out", "folder", type=click.Path(file_okay=False, path_type=Path),
              help="The registry of models; else forecast.models_dir, of cameras its folder cameras.")  # fmt: skip
@click.option("--zone", help="FILE: the city's time zone; else roads.zone.")
@click.option("--step-seconds", type=click.IntRange(60, 3600), help="FILE: else forecast.step_seconds.")
@click.option("--horizons", help="Minutes ahead; else 10,20,30 for roads, 1 to 10, 15, 20 and 30 for cameras.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--members", type=click.IntRange(1, 10), default=1, show_default=True, help="Networks to average.")
@click.option("--epochs", type=click.IntRange(1), help="At most so many; else what is usual for the model.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--promote", is_flag=True, help="Let it serve, if it beats every baseline.")
def train(
    what: str, kind: str | None, source: str, since: datetime | None, until: datetime | None, links: str | None,
    folder: Path | None, zone: str | None, step_seconds: int | None, horizons: str | None, seed: int, members: int,
    epochs: int | None, threads: int, promote: bool,
) -> None:  # fmt: skip
    """Train a model from a history of roads or cameras and judge it against simple rules on the last fifth of it.

    Exit code 3 when it was to be promoted and is not better than these.
    """
    try:
        import torch

        from trafficapp.forecast.learning.export import candidate
        from trafficapp.forecast.learning.training import train as fit_and_judge
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{_NEEDS} ({error.name} is missing)") from None
    from trafficapp.forecast.artifacts.artifact import ArtifactError
    from trafficapp.forecast.artifacts.fitness import fitness
    from trafficapp.forecast.artifacts.registry import ModelRegistry
    from trafficapp.forecast.learning.history import HistoryError
    from trafficapp.forecast.learning.packing import write_artifact
    from trafficapp.forecast.learning.reporting import Progress, report
    from trafficapp.forecast.learning.windows import prepare

    torch.set_num_threads(threads)
    settings = settings_or_message()
    quantity, kind = CONGESTION_SCORE if what == CAMERAS else SPEED, kind or DEFAULT_KINDS[what]
    served = models_folder(settings, what)
    served_step = quantity.step_seconds if what == CAMERAS else settings.forecast.step_seconds
    # a folder elsewhere may be of a deployment with other settings, whose workers refuse what they cannot use
    if folder is not None and folder.resolve() != served.resolve():
        registry = ModelRegistry(folder)
    else:
        registry = ModelRegistry(served, fitness(served_step, quantity))
    _hold(registry.folder)
    for name in registry.clear_left_over(datetime.now(UTC)):
        click.echo(f"{name} was left by a training that was killed; it is removed")
    try:
        minutes = quantity.horizons_minutes if horizons is None else tuple(map(float, horizons.split(",")))
        if source == _POSTGRES:
            _refuse_with_postgres(links=links, zone=zone, step_seconds=step_seconds)
            found = _from_postgres(settings, what, since, until)
        elif what == CAMERAS:
            _refuse_with_cameras(links=links, zone=zone, step_seconds=step_seconds)
            found = _from_camera_file(settings, Path(source))
        else:
            found = _from_file(settings, Path(source), zone, step_seconds, links)
        data = prepare(found.history, minutes)
        _tell(found)
        with Progress(members, quantity) as progress:
            trained = fit_and_judge(kind, data, seed=seed, members=members, epochs=epochs, watch=progress.watch)
        path = write_artifact(candidate(trained), registry.folder, found.source)
    except (HistoryError, ArtifactError, ArithmeticError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    title = f"{path.name}: the last fifth of the history, in {trained.seconds / 60:.1f} minutes"
    report(trained.judged.test, f"{title}\nfrom {found.source}", quantity=quantity)
    click.echo(str(path))
    if promote:
        _promote(registry, path.name)


def _hold(folder: Path) -> None:
    """Keep other trainings out of a folder until the command ends."""
    try:
        click.get_current_context().with_resource(alone_in(folder))
    except (TrainingBusyError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _promote(registry: ModelRegistry, version: str) -> None:
    """Let a version serve; what came of it is said last, for those who read the last line."""
    from trafficapp.forecast.artifacts.artifact import ArtifactError
    from trafficapp.forecast.artifacts.old_versions import remove_old_versions
    from trafficapp.forecast.artifacts.registry import NotBetterError

    code, outcome = 0, f"{version} serves"
    try:
        registry.promote(version)
    except NotBetterError as error:
        code, outcome = NOT_BETTER, str(error)
    except ArtifactError as error:
        raise click.ClickException(str(error)) from None
    for name in remove_old_versions(registry, datetime.now(UTC)):
        click.echo(f"{name} is old, and neither serves nor served; it is removed")
    click.echo(outcome)
    click.get_current_context().exit(code)


def models_folder(settings: Settings, what: str) -> Path:
    """The registry of models of roads, or of cameras."""
    folder = settings.forecast.models_dir
    return folder / CAMERAS if what == CAMERAS else folder


def _refuse_with_postgres(**given: object) -> None:
    """Options of files would be left aside in silence."""
    _refuse("goes with a file; with postgres the settings say it", given)


def _refuse_with_cameras(**given: object) -> None:
    _refuse("goes with roads; scores of cameras are those of minutes, and the road graph links them", given)


def _refuse(why: str, given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if value is not None:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} {why}")


def _from_postgres(settings: Settings, what: str, since: datetime | None, until: datetime | None) -> StoredHistory:
    from trafficapp.commands.troubles import told_in_a_sentence
    from trafficapp.forecast.learning.reporting import days_read
    from trafficapp.training import camera_histories, road_histories

    read = camera_histories.from_postgres if what == CAMERAS else road_histories.from_postgres
    with told_in_a_sentence(settings, "Postgres"), days_read() as watch:
        return read(settings, since, until, watch)


def _from_camera_file(settings: Settings, path: Path) -> StoredHistory:
    from trafficapp.training.camera_histories import from_file

    if not path.is_file():
        raise click.UsageError(f"there is no file {path}")
    return from_file(path, settings.roads)


def _from_file(
    settings: Settings, path: Path, zone: str | None, step_seconds: int | None, links: str | None
) -> StoredHistory:
    from trafficapp.training.road_histories import GRAPH, from_file

    for file in (path, *([] if links in (None, GRAPH) else [Path(str(links))])):
        if not file.is_file():
            raise click.UsageError(f"there is no file {file}")
    zone, step_seconds = zone or settings.roads.zone, step_seconds or settings.forecast.step_seconds
    zeros_are_missing = settings.forecast.zero_speeds == "missing"
    return from_file(path, zone, step_seconds, links, settings.roads, zeros_are_missing=zeros_are_missing)


def _tell(found: StoredHistory) -> None:
    """What is trained from."""
    history = found.history
    steps, roads = history.speeds_kmh.shape
    click.echo(f"from {found.source}: {history.start:%Y-%m-%d %H:%M} to {history.end:%Y-%m-%d %H:%M} UTC")
    what = "roads" if history.quantity is SPEED else "cameras and lanes"
    click.echo(f"{steps:,} steps of {roads:,} {what}, {len(history.links.weight):,} links between them")
    if found.left_out:
        click.echo(f"{found.left_out:,} {what} were measured too rarely and are left out")
