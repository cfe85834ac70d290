"""Names of the graph's states: ``vYYYYMMDDHHMMSS``, UTC, later ones sort behind.

A version is the second in which a state was made, or the next free one after the last: the name of a state, not its
time. That stands in the state.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_FORM = "v%Y%m%d%H%M%S"
_LAST = "v29000101000000"


def version_at(moment: datetime) -> str:
    """The version of a moment."""
    return moment.astimezone(UTC).strftime(_FORM)


def time_of(version: str) -> datetime:
    """The moment of a version.

    Raises:
        ValueError: it is no version.
    """
    return datetime.strptime(version, _FORM).replace(tzinfo=UTC)


def is_version(text: str) -> bool:
    """Whether this is a version."""
    try:
        return version_at(time_of(text)) == text
    except ValueError:
        return False


def can_be_followed(text: str) -> bool:
    """Whether this is a version behind which there is room for others: none of a clock that is wrong by centuries."""
    return is_version(text) and text < _LAST


def version_after(moment: datetime, last: str | None) -> str:
    """The version of a moment; when that is not behind the last one, the second after the last."""
    version = version_at(moment)
    if last is None or last < version:
        return version
    return version_at(time_of(last) + timedelta(seconds=1))
