"""Which model serves: a folder of artifacts, and a file that names the promoted one.

The file is replaced in one step, so that at any moment it names an artifact that was read and tried before. Whoever is
killed leaves at most a folder ``.writing-…`` or an unused file behind. Readers look at the file when asked, and see a
new promotion at once.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from trafficapp.forecast.artifacts.artifact import DESCRIPTION, WRITING, Artifact, ArtifactError, Description, load
from trafficapp.forecast.artifacts.fitness import Fitness
from trafficapp.forecast.baselines import RIVALS
from trafficapp.forecast.learning.judging import MODEL

POINTER = "promoted.json"
_LOCK, _PROMOTING = ".promoting", ".promoted-"
_REMEMBERED = 10

#: What is being written is younger than this; what is older was left by whoever was killed.
LEFT_OVER_AFTER = timedelta(days=1)

log = logging.getLogger(__name__)


class NotBetterError(ValueError):
    """A candidate that must not be promoted; the message says what it does not beat."""


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file says: the version that serves, and those that served before, the newest first."""

    version: str
    promoted_at: datetime
    previous: tuple[str, ...] = ()


class ModelRegistry:
    """The artifacts in a folder.

    Args:
        folder: it may not be there yet.
        unfit: why a model must not serve here, though it is whole; every model may unless told otherwise.
    """

    def __init__(self, folder: Path, unfit: Fitness = lambda _: None) -> None:
        self.folder = folder
        self._unfit = unfit

    def candidates(self) -> list[str]:
        """Versions that are there, whether they are good or not."""
        return sorted(path.parent.name for path in self.folder.glob(f"[!.]*/{DESCRIPTION}"))

    def promotion(self) -> Promotion | None:
        """What is promoted.

        Raises:
            ArtifactError: the file that says so is damaged.
        """
        try:
            return msgspec.json.decode((self.folder / POINTER).read_bytes(), type=Promotion)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise ArtifactError(f"{self.folder / POINTER} cannot be read: {error}") from None

    def load(self, version: str) -> Artifact:
        """Read a version that may serve here.

        Raises:
            ArtifactError: it is damaged, or does not fit what this registry is for.
        """
        artifact = load(self.folder / version)
        if reason := self._unfit(artifact):
            raise ArtifactError(f"{self.folder / version}: {reason}")
        return artifact

    def promote(self, version: str) -> Promotion:
        """Let a version serve from now on.

        Raises:
            ArtifactError: it is damaged, or does not fit what this registry is for.
            NotBetterError: it does not beat the best baseline everywhere.
        """
        if version not in self.candidates():
            raise ArtifactError(f"{self.folder} has no version {version}")
        artifact = self.load(version)
        if reasons := not_better(artifact.about):
            raise NotBetterError(f"{version} is not promoted: {'; '.join(reasons)}")
        with self._alone():
            try:
                before = self.promotion()
            except ArtifactError as error:
                log.warning("%s; it is written anew", error)
                before = None
            earlier = () if before is None else (before.version, *before.previous)
            previous = tuple(one for one in dict.fromkeys(earlier) if one != version)[:_REMEMBERED]
            promotion = Promotion(version, datetime.now(UTC), previous)
            self._write(promotion)
        return promotion

    def clear_left_over(self, now: datetime) -> list[str]:
        """Remove what killed trainings and promotions left unfinished a day ago or earlier.

        Returns:
            names of what was removed.
        """
        removed = []
        for path in sorted([*self.folder.glob(f"{WRITING}*"), *self.folder.glob(f"{_PROMOTING}*")]):
            try:
                if now - datetime.fromtimestamp(path.stat().st_mtime, UTC) < LEFT_OVER_AFTER:
                    continue
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except OSError as error:
                log.warning("%s was left over and cannot be removed: %s", path, error)
                continue
            removed.append(path.name)
        return removed

    def _write(self, promotion: Promotion) -> None:
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=_PROMOTING, delete=False) as file:
            try:
                file.write(msgspec.json.encode(promotion))
                file.flush()
                os.fsync(file.fileno())
                os.chmod(file.name, 0o644)
                os.replace(file.name, self.folder / POINTER)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One promotion at a time. The kernel gives the lock back whatever becomes of us."""
        with (self.folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class PromotedModel:
    """The promoted model for one reader, who keeps what works until something better does."""

    def __init__(self, registry: ModelRegistry) -> None:
        self._registry = registry
        self._seen: tuple[int, int, int] | None = None
        self._artifact: Artifact | None = None
        self.refusal: str | None = None

    def current(self) -> Artifact | None:
        """The model to use; None when there is none that can be. A new promotion is read here, which takes a moment.

        A promoted artifact that must not be used is refused, `refusal` says why, and the one before serves on.
        """
        seen = self._stamp()
        if seen != self._seen:
            self._seen = seen
            self._read_again()
        return self._artifact

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = (self._registry.folder / POINTER).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read_again(self) -> None:
        self.refusal = None
        try:
            promotion = self._registry.promotion()
        except ArtifactError as error:
            self._refuse(error)
            return
        if promotion is None:
            return
        # What this reader already holds is as good as the files of earlier versions, and it is there.
        for version in (promotion.version, *promotion.previous):
            if self._artifact is not None and self._artifact.about.version == version:
                return
            try:
                self._artifact = self._registry.load(version)
            except ArtifactError as error:
                self._refuse(error)
                continue
            log.info("model %s serves", version)
            return

    def _refuse(self, error: ArtifactError) -> None:
        self.refusal = self.refusal or str(error)
        log.error("a model is refused: %s", error)


def not_better(about: Description) -> list[str]:
    """Why a model must not be promoted: horizons at which a baseline is as good, on validation and test part."""
    reasons = []
    for part, judged in (("validation", about.validation), ("test", about.test)):
        if missing := {MODEL, *RIVALS} - judged.keys():
            reasons.append(f"no figures of {', '.join(sorted(missing))} on the {part} part")
            continue
        for place, score in enumerate(judged[MODEL]):
            best = min(RIVALS, key=lambda name: judged[name][place].mae_kmh)
            rival = judged[best][place].mae_kmh
            if not score.mae_kmh < rival:
                own, other = about.quantity.said(score.mae_kmh), about.quantity.said(rival)
                reasons.append(
                    f"{score.horizon_minutes:g} min ahead its MAE is {own} on the {part} part, that of {best} {other}"
                )
    return reasons
