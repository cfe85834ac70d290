"""Training as it is shown to people: a progress bar, in a log lines instead of it, and a table of figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from trafficapp.forecast.learning.scores import Score
from trafficapp.forecast.quantities import SPEED, Quantity


class Progress:
    """A bar that advances by epochs and says how good the model is so far; a line an epoch where nobody looks."""

    def __init__(self, members: int, quantity: Quantity = SPEED) -> None:
        self._members, self._member, self._quantity = members, 0, quantity
        self._console = Console()
        self._bar = _bar(self._console)
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
        text = f"epoch {epoch} of at most {epochs}{member}: MAE {self._quantity.said(mae_kmh)} on the validation part"
        self._bar.update(self._task, description=text, completed=done, total=self._members * epochs)
        if not self._console.is_terminal:
            print(text, flush=True)


@contextmanager
def days_read() -> Iterator[Callable[[int, int], None]]:
    """A bar over the days of a history that are read."""
    with _bar(Console()) as bar:
        task = bar.add_task("reading history", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bar(console: Console) -> Bar:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Bar(*columns, console=console, disable=not console.is_terminal)


def report(
    judged: dict[str, tuple[Score, ...]], title: str, console: Console | None = None, quantity: Quantity = SPEED
) -> None:
    """Print a table of scores, the model last."""
    table = Table(title=title)
    for name in ("", "minutes", f"MAE {quantity.unit}".strip(), f"RMSE {quantity.unit}".strip(), "MAPE %", "R²"):
        table.add_column(name, justify="right" if name else "left")
    for model, found in judged.items():
        for place, score in enumerate(found):
            shown = [f"{error:.{quantity.decimals}f}" for error in (score.mae_kmh, score.rmse_kmh)]
            shown += [f"{score.mape_percent:.2f}", f"{score.r2:.2f}"]
            table.add_row("" if place else model, f"{score.horizon_minutes:g}", *shown)
    (console or Console()).print(table)
