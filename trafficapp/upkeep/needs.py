"""What this machine lacks for what it is asked to do by the clock."""

from __future__ import annotations

from importlib.util import find_spec

from trafficapp.settings import Settings
from trafficapp.upkeep.backup import newest_pg_dump

#: What `trafficapp train` imports beside what every worker has.
_EXTRA_TRAIN = ("torch", "onnx", "onnxscript")


def lacking(settings: Settings) -> list[str]:
    """Say for each setting that cannot be met here what is missing; takes a moment, as programs are asked."""
    said = []
    if settings.forecast.train_weekly and (missing := [name for name in _EXTRA_TRAIN if find_spec(name) is None]):
        said.append(
            f"forecast.train_weekly is {settings.forecast.train_weekly}, but {', '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing here: pip install 'trafficapp[train]'"
        )
    if settings.backup.nightly and newest_pg_dump() is None:
        said.append(
            f"backup.nightly is {settings.backup.nightly}, but there is no pg_dump here: "
            "install the client programs of Postgres"
        )
    return said
