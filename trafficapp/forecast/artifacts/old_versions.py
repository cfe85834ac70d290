"""Removes versions that nobody needs any more from a registry of models."""

from __future__ import annotations

import logging
import re
import shutil
from datetime import UTC, datetime, timedelta

from trafficapp.forecast.artifacts.artifact import WRITING, ArtifactError
from trafficapp.forecast.artifacts.registry import ModelRegistry

#: A version that neither serves nor served is kept for so long: time to see why it was not better. By then all that it
#: was trained from is older than the history of the next training (`forecast.train_days`, 28).
KEPT_FOR = timedelta(days=30)

#: How `trafficapp.forecast.artifacts.artifact.version_of` ends a name; folders of other names are somebody's own.
_VERSION = re.compile(r"-\d{8}T\d{12}Z$")

log = logging.getLogger(__name__)


def remove_old_versions(registry: ModelRegistry, now: datetime) -> list[str]:
    """Remove what was put there long ago and is not named in ``promoted.json``; without that file, nothing.

    Returns:
        the versions that were removed.
    """
    try:
        promotion = registry.promotion()
    except ArtifactError as error:
        log.warning("%s; old versions are kept", error)
        return []
    if promotion is None:
        return []
    removed = []
    for version in registry.candidates():
        path = registry.folder / version
        if version in (promotion.version, *promotion.previous) or not _VERSION.search(version):
            continue
        try:
            if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < KEPT_FOR:
                continue
            # under a name that says it is not whole, so that `clear_left_over` ends this if we are killed
            leaving = path.rename(registry.folder / f"{WRITING}{version}")
            shutil.rmtree(leaving)
        except OSError as error:
            log.warning("%s is old and cannot be removed: %s", path, error)
            continue
        removed.append(version)
    return removed
