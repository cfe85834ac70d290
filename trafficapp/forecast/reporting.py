"""Training as it is shown to people: a progress bar, and a table of figures."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from trafficapp.forecast.scores import Score


class Progress:
    """A bar that advances by epochs and says how good the model is so far."""

    def __init__(self, members: int) -> None:
        self._members, self._member = members, 0
        self._bar = Bar(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._task = self._bar.add_task("training", total=None)

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def watch(self, epoch: int, epochs: int, mae_kmh: float) -> None:
        """Show the end of an epoch."""
        if epoch == 1:
            self._member += 1
        done = (self._member - 1) * epochs + epoch
        member = f", network {self._member} of {self._members}" if self._members > 1 else ""
        text = f"epoch {epoch} of at most {epochs}{member}: MAE {mae_kmh:.3f} km/h on the validation part"
        self._bar.update(self._task, description=text, completed=done, total=self._members * epochs)


def report(judged: dict[str, tuple[Score, ...]], title: str, console: Console | None = None) -> None:
    """Print a table of scores, the model last."""
    table = Table(title=title)
    for name in ("", "minutes", "MAE km/h", "RMSE km/h", "MAPE %", "R²"):
        table.add_column(name, justify="right" if name else "left")
    for model, found in judged.items():
        for place, score in enumerate(found):
            cells = (score.mae_kmh, score.rmse_kmh, score.mape_percent, score.r2)
            shown = [f"{cell:.2f}" for cell in cells]
            table.add_row("" if place else model, f"{score.horizon_minutes:g}", *shown)
    (console or Console()).print(table)
