"""The command ``trafficapp train``."""

from __future__ import annotations

from pathlib import Path

import click

_NEEDS = "training needs torch and onnx: pip install 'trafficapp[train]'"


@click.command()
@click.option("--model", "kind", type=click.Choice(["lstm", "stgcn", "ours"]), default="ours", show_default=True)
@click.option(
    "--from", "source", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="History of speeds: .parquet (road_id, timestamp, speed_kmh) or .npz.",
)  # fmt: skip
@click.option("--links", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="Which roads follow each other: .parquet (from_road, to_road, weight).")  # fmt: skip
@click.option("--out", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The registry.")
@click.option("--zone", default="UTC", show_default=True, help="The city's time zone.")
@click.option("--step-seconds", type=click.IntRange(60, 3600), default=300, show_default=True)
@click.option("--horizons", default="10,20,30", show_default=True, help="Minutes ahead.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--members", type=click.IntRange(1, 10), default=1, show_default=True, help="Networks to average.")
@click.option("--epochs", type=click.IntRange(1), help="At most so many; else what is usual for the model.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--promote", is_flag=True, help="Let it serve, if it beats every baseline.")
def train(
    kind: str, source: Path, links: Path | None, folder: Path, zone: str, step_seconds: int, horizons: str,
    seed: int, members: int, epochs: int | None, threads: int, promote: bool,
) -> None:  # fmt: skip
    """Train a model from a history of speeds and judge it against simple rules on the last fifth of it."""
    try:
        import torch

        from trafficapp.forecast.export import candidate
        from trafficapp.forecast.training import train as fit_and_judge
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{_NEEDS} ({error.name} is missing)") from None
    from trafficapp.forecast.artifact import ArtifactError
    from trafficapp.forecast.history import HistoryError, read_history
    from trafficapp.forecast.packing import write_artifact
    from trafficapp.forecast.registry import ModelRegistry, NotBetterError
    from trafficapp.forecast.reporting import Progress, report
    from trafficapp.forecast.windows import prepare

    torch.set_num_threads(threads)
    try:
        minutes = tuple(float(part) for part in horizons.split(","))
        history = read_history(source, zone=zone, step_seconds=step_seconds, links=links)
        data = prepare(history, minutes)
        with Progress(members) as progress:
            trained = fit_and_judge(kind, data, seed=seed, members=members, epochs=epochs, watch=progress.watch)
        path = write_artifact(candidate(trained), folder, source.name)
    except (HistoryError, ArtifactError, ArithmeticError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None
    report(trained.judged.test, f"{path.name}: the last fifth of the history, in {trained.seconds / 60:.1f} minutes")
    click.echo(str(path))
    if promote:
        try:
            ModelRegistry(folder).promote(path.name)
        except (ArtifactError, NotBetterError) as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"{path.name} serves")
