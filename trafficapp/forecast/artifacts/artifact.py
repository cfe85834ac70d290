"""A trained model on disk: a folder that is written whole or not at all, and believed only when everything fits.

``model.json`` says what it is, with the SHA-256 of the other files and its own digest. ``model.onnx`` is the network,
``arrays.npz`` all that features, baselines and calibration need, and a self-test: recent speeds and what the network
said to them in training.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from trafficapp.forecast.artifacts.inference import NetworkError, OnnxNetwork
from trafficapp.forecast.baselines import BASELINES, LinearAr
from trafficapp.forecast.calibration import Calibration
from trafficapp.forecast.clock import DAY_SECONDS, Floats
from trafficapp.forecast.features import FeatureLayout, build_features
from trafficapp.forecast.learning.judging import MODEL
from trafficapp.forecast.learning.scores import Score
from trafficapp.forecast.neighbours import RoadLinks, neighbour_matrices
from trafficapp.forecast.profiles import DayProfile, slot_seconds
from trafficapp.forecast.quantities import Quantity
from trafficapp.forecast.weather_inputs import WEATHER_INPUTS

FORMAT_VERSION = 2
#: Of artifacts whose model takes the weather as well: what reads only the other one must not try.
WEATHER_FORMAT_VERSION = 3
DESCRIPTION, NETWORK, ARRAYS = "model.json", "model.onnx", "arrays.npz"

#: Begin of the name of a folder that is not finished.
WRITING = ".writing-"

#: Calibrations are there for the model and for each baseline.
_CALIBRATED = (MODEL, *BASELINES)


class ArtifactError(ValueError):
    """An artifact that must not be used; the message names it and says why."""


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an artifact says about itself."""

    format_version: int
    version: str
    kind: str
    made_at: datetime
    code_version: str
    road_ids: tuple[str, ...]
    graph_hash: str
    layout: FeatureLayout
    columns: tuple[str, ...]
    data_source: str
    data_from: datetime
    data_to: datetime
    train_to: datetime
    validation_to: datetime
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    training_seconds: float
    validation: dict[str, tuple[Score, ...]]
    test: dict[str, tuple[Score, ...]]
    files: dict[str, str] = {}
    digest: str = ""

    @property
    def quantity(self) -> Quantity:
        """What is predicted."""
        return self.layout.quantity

    @property
    def horizons_minutes(self) -> tuple[float, ...]:
        """How far ahead the predictions are."""
        return self.layout.horizons_minutes


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Recent speeds (steps, roads), when, what the network said in training (roads, horizons), and the weather."""

    recent_kmh: Floats
    last_time: int
    said_kmh: Floats
    weather: Floats | None = None


@dataclass(frozen=True, eq=False)
class Knowledge:
    """The arrays of an artifact."""

    links: RoadLinks
    smooth: DayProfile
    plain: DayProfile
    linear: LinearAr
    calibrations: dict[str, Calibration]
    self_test: SelfTest


@dataclass(frozen=True, eq=False)
class Artifact:
    """A model that was read and found right."""

    about: Description
    knowledge: Knowledge
    neighbours: Floats
    network: OnnxNetwork

    def predict(
        self, recent_kmh: Floats, last_time: int, weather: Floats | None = None
    ) -> tuple[Floats, np.typing.NDArray[np.bool_]]:
        """Predictions of all roads in one call.

        Args:
            recent_kmh: shape (steps, roads), NaN where nothing was measured.
            last_time: when the newest step began, in seconds since the epoch.
            weather: the numbers of `trafficapp.forecast.weather_inputs`, for models that take them; None when nothing
                is known.

        Returns:
            Speeds in km/h, shape (roads, horizons); and for which roads they mean something.
        """
        layout = self.about.layout
        told = None if weather is None else weather[None]
        times = np.array([last_time], np.int64)
        features = build_features(layout, self.neighbours, self.knowledge.smooth, recent_kmh[None], times, told)
        return layout.speeds(self.network.run(features.roads, features.clock))[0], features.seen[0]


def save(about: Description, knowledge: Knowledge, network: bytes, folder: Path) -> Path:
    """Write an artifact as `folder`/version.

    Returns:
        The artifact's own folder.

    Raises:
        ArtifactError: that version is there already.
    """
    path = folder / about.version
    if path.exists():
        raise ArtifactError(f"{path} is there already")
    folder.mkdir(parents=True, exist_ok=True)
    contents = {NETWORK: network, ARRAYS: _packed(knowledge)}
    about = msgspec.structs.replace(about, files={name: _hash(content) for name, content in contents.items()})
    about = msgspec.structs.replace(about, digest=_digest(about))
    contents[DESCRIPTION] = json.dumps(msgspec.to_builtins(about), indent=1).encode() + b"\n"
    writing = Path(tempfile.mkdtemp(dir=folder, prefix=WRITING))
    try:
        for name, content in contents.items():
            with (writing / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        writing.chmod(0o755)
        _sync_folder(writing)
        writing.rename(path)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(writing, ignore_errors=True)
        raise
    return path


def describe(path: Path) -> Description:
    """Read what an artifact says about itself, and check the hashes of all its files.

    Raises:
        ArtifactError: something is missing, cut off or altered.
    """
    try:
        about = msgspec.json.decode((path / DESCRIPTION).read_bytes(), type=Description)
        if about.format_version != format_version_of(about.layout):
            read = f"{FORMAT_VERSION}, and {WEATHER_FORMAT_VERSION} with weather"
            raise ArtifactError(f"{path}: format {about.format_version}, this program reads {read}")
        if about.digest != _digest(about):
            raise ArtifactError(f"{path}: {DESCRIPTION} was altered after it was written")
        if about.version != path.name:
            raise ArtifactError(f"{path}: the folder has another name than the version in it, {about.version}")
        for name in (NETWORK, ARRAYS):
            if about.files.get(name) != _hash((path / name).read_bytes()):
                raise ArtifactError(f"{path}: {name} is damaged, its SHA-256 is not that of {DESCRIPTION}")
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: {Path(str(error.filename)).name} is missing") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise ArtifactError(f"{path}: {DESCRIPTION} cannot be read: {error}") from None
    return about


def load(path: Path) -> Artifact:
    """Read an artifact and try it: hashes, shapes, and the self-test.

    Raises:
        ArtifactError: it must not be used.
    """
    about = describe(path)
    try:
        knowledge = _unpacked((path / ARRAYS).read_bytes(), about)
        _check_shapes(about, knowledge)
        network = OnnxNetwork(path / NETWORK, about.layout, len(about.road_ids))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ArtifactError(f"{path}: {error}") from None
    artifact = Artifact(about, knowledge, neighbour_matrices(knowledge.links), network)
    test = knowledge.self_test
    said, _ = artifact.predict(test.recent_kmh, test.last_time, test.weather)
    off = float(np.abs(said - test.said_kmh).max())
    if not off <= about.quantity.self_test_tolerance:
        raise ArtifactError(f"{path}: the self-test failed, {off:.3g} {about.quantity.unit}".rstrip() + " off")
    return artifact


def format_version_of(layout: FeatureLayout) -> int:
    """The format of an artifact, which says which features it has."""
    return WEATHER_FORMAT_VERSION if layout.weather else FORMAT_VERSION


def code_hash() -> str:
    """Of the sources of forecasts: which code made an artifact."""
    digest = sha256()
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]


def version_of(kind: str, made_at: datetime) -> str:
    """A name for a version; later ones sort behind earlier ones."""
    return f"{kind}-{made_at.astimezone(UTC):%Y%m%dT%H%M%S%f}Z"


def _packed(knowledge: Knowledge) -> bytes:
    arrays = {
        "links_from": knowledge.links.from_road,
        "links_to": knowledge.links.to_road,
        "links_weight": knowledge.links.weight,
        "linear_weights": knowledge.linear.weights,
        "test_recent": knowledge.self_test.recent_kmh,
        "test_last_time": np.array(knowledge.self_test.last_time, np.int64),
        "test_said": knowledge.self_test.said_kmh,
        **_profile_arrays("smooth", knowledge.smooth),
        **_profile_arrays("plain", knowledge.plain),
    }
    if knowledge.self_test.weather is not None:
        arrays["test_weather"] = knowledge.self_test.weather
    for name in _CALIBRATED:
        # Half precision, a thousandth of the error at most: these are the largest arrays.
        arrays[f"usual_error_{name}"] = knowledge.calibrations[name].usual_error_kmh.astype(np.float16)
        arrays[f"multiples_{name}"] = knowledge.calibrations[name].multiples
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def _profile_arrays(name: str, profile: DayProfile) -> dict[str, Any]:
    """In half precision, as they were rounded to when they were made."""
    arrays = {name: profile.speeds_kmh}
    if profile.weekend_kmh is not None:
        arrays[f"{name}_weekend"] = profile.weekend_kmh
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def _profile(name: str, arrays: dict[str, Floats], layout: FeatureLayout) -> DayProfile:
    weekend = arrays.get(f"{name}_weekend")
    return DayProfile(
        arrays[name].astype(np.float32),
        layout.zone,
        layout.step_seconds,
        None if weekend is None else weekend.astype(np.float32),
    )


def _unpacked(content: bytes, about: Description) -> Knowledge:
    layout = about.layout
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    links = RoadLinks(len(about.road_ids), arrays["links_from"], arrays["links_to"], arrays["links_weight"])
    calibrations = {
        name: Calibration(
            arrays[f"usual_error_{name}"].astype(np.float32), arrays[f"multiples_{name}"], layout.quantity
        )
        for name in _CALIBRATED
    }
    return Knowledge(
        links,
        _profile("smooth", arrays, layout),
        _profile("plain", arrays, layout),
        LinearAr(arrays["linear_weights"]),
        calibrations,
        SelfTest(arrays["test_recent"], int(arrays["test_last_time"]), arrays["test_said"], arrays.get("test_weather")),
    )


def _check_shapes(about: Description, knowledge: Knowledge) -> None:
    layout, roads = about.layout, len(about.road_ids)
    horizons, day = len(layout.horizon_steps), DAY_SECONDS // slot_seconds(layout.step_seconds)
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "linear weights": (knowledge.linear.weights.shape, (horizons, layout.input_steps + 1)),
        "recent speeds of the self-test": (knowledge.self_test.recent_kmh.shape, (layout.input_steps, roads)),
        "answer of the self-test": (knowledge.self_test.said_kmh.shape, (roads, horizons)),
    }
    for name, profile in (("usual", knowledge.smooth), ("plain usual", knowledge.plain)):
        shapes[f"{name} speeds"] = (profile.speeds_kmh.shape, (day, roads))
        if profile.weekend_kmh is not None:
            shapes[f"{name} speeds of weekends"] = (profile.weekend_kmh.shape, (day, roads))
    for name, calibration in knowledge.calibrations.items():
        shapes[f"usual errors of {name}"] = (calibration.usual_error_kmh.shape, (horizons, 24, roads))
        shapes[f"quantiles of {name}"] = (calibration.multiples.shape[:1], (horizons,))
    for name, (found, wanted) in shapes.items():
        if found != wanted:
            raise NetworkError(f"{name} have shape {found}, where {wanted} is needed")
    if layout.weather not in ((), WEATHER_INPUTS):
        raise NetworkError("it was trained with other inputs of the weather than this program has; train again")
    if layout.columns != about.columns:
        raise NetworkError("it was trained with other features than this program builds; train again")
    if knowledge.links.graph_hash(about.road_ids) != about.graph_hash:
        raise NetworkError("its links are not those of the graph it was trained on")


def _digest(about: Description) -> str:
    return _hash(json.dumps(msgspec.to_builtins(msgspec.structs.replace(about, digest="")), sort_keys=True).encode())


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
