"""Names of the graph's states: ``vYYYYMMDDHHMMSS``, UTC, later ones sort behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FORM = "v%Y%m%d%H%M%S"
#: A version further ahead of the clock than this was told by a clock that is wrong; nobody waits until it is over.
CREDIBLE_AHEAD = timedelta(hours=1)


def version_at(moment: datetime) -> str:
    """The version of a moment."""
    return moment.astimezone(UTC).strftime(_FORM)


def time_of(version: str) -> datetime:
    """The moment of a version.

    Raises:
        ValueError: it is no version.
    """
    return datetime.strptime(version, _FORM).replace(tzinfo=UTC)


def version_after(moment: datetime, last: str | None) -> str:
    """The version of a moment; when that is not behind the last one, the second after the last."""
    version = version_at(moment)
    if last is None or last < version or last > version_at(moment + CREDIBLE_AHEAD):
        return version
    return version_at(time_of(last) + timedelta(seconds=1))
