"""The model that serves: the promoted one, or the one that is shipped with the program, if it fits the settings."""

from __future__ import annotations

import logging
from pathlib import Path

from trafficapp.forecast.artifacts.artifact import DESCRIPTION, Artifact, ArtifactError, load
from trafficapp.forecast.artifacts.fitness import fitness
from trafficapp.forecast.artifacts.registry import ModelRegistry, PromotedModel
from trafficapp.forecast.quantities import CONGESTION_SCORE, SPEED, Quantity
from trafficapp.settings import Settings

#: Where the shipped model is: it is the folder itself, or the newest of the versions in it. There may be none.
SHIPPED = Path(__file__).parents[1] / "data" / "bologna-roads"
#: The same of its cameras.
SHIPPED_OF_CAMERAS = Path(__file__).parents[1] / "data" / "bologna-cameras"

HORIZONS_MINUTES = SPEED.horizons_minutes

log = logging.getLogger(__name__)


class CityModel:
    """The model to predict the roads of the city with, or its cameras, for one reader.

    A promoted model wins over the one promoted before, that over the shipped one. Only a model of our steps that
    predicts all our horizons is of use.

    Args:
        folder: the registry's.
        step_seconds: length of a step of what is predicted.
        shipped: where the shipped model is; None when it is of no use here.
        quantity: what is predicted.

    Attributes:
        refusal: why a model is refused that should serve, without the folder it is in; None when there is none.
    """

    def __init__(
        self, folder: Path, step_seconds: int, shipped: Path | None = SHIPPED, quantity: Quantity = SPEED
    ) -> None:
        self.refusal: str | None = None
        self._folder = folder
        self._unfit = fitness(step_seconds, quantity)
        self._shipped_folder = shipped
        self._promoted = PromotedModel(ModelRegistry(folder, self._unfit))
        self._shipped: Artifact | None = None
        self._shipped_refusal: str | None = None
        self._looked_for_shipped = False

    def current(self) -> Artifact | None:
        """The model to use; None when there is none that can be. A new one is read here, which takes a moment."""
        found = self._promoted.current()
        refusal = self._promoted.refusal
        if found is None:
            found = self._of_shipped()
            refusal = refusal or self._shipped_refusal
        self.refusal = None if refusal is None else refusal.replace(f"{self._folder}/", "")
        return found

    @property
    def shipped_version(self) -> str | None:
        """Which version the shipped model is; None as long as it was not needed."""
        return None if self._shipped is None else self._shipped.about.version

    def _of_shipped(self) -> Artifact | None:
        """The shipped model. It is part of the program, so it is looked for once."""
        if self._looked_for_shipped or self._shipped_folder is None:
            return self._shipped
        self._looked_for_shipped = True
        versions = [self._shipped_folder, *sorted(self._shipped_folder.glob("[!._]*"), reverse=True)]
        path = next((one for one in versions if (one / DESCRIPTION).is_file()), None)
        if path is None:
            return None
        try:
            found = load(path)
            if reason := self._unfit(found):
                raise ArtifactError(f"{path}: {reason}")
            self._shipped = found
            log.info("model %s serves, which is shipped with the program", path.name)
        except ArtifactError as error:
            log.error("the shipped model is refused: %s", error)
            self._shipped_refusal = str(error).replace(f"{path.parent}/", "")
        return self._shipped


def camera_model(settings: Settings) -> CityModel:
    """The model to predict the cameras of the city with; the shipped one is of those on the shipped graph."""
    shipped = SHIPPED_OF_CAMERAS if settings.roads.graph is None else None
    quantity = CONGESTION_SCORE
    return CityModel(settings.forecast.models_dir / "cameras", quantity.step_seconds, shipped, quantity)
