"""All versions of a model as people choose among them."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from models.administration.trained_models import ModelScore, ModelVersion, Predicted
from models.timestamps import epoch_us, rfc3339
from trafficapp.forecast.artifacts.artifact import DESCRIPTION, ArtifactError, Description, describe
from trafficapp.forecast.artifacts.registry import ModelRegistry, not_better
from trafficapp.forecast.artifacts.shipped import SHIPPED, SHIPPED_OF_CAMERAS
from trafficapp.forecast.baselines import RIVALS
from trafficapp.forecast.learning.judging import MODEL

_SHIPPED: dict[Predicted, Path] = {"roads": SHIPPED, "cameras": SHIPPED_OF_CAMERAS}


def model_versions(registry: ModelRegistry, predicts: Predicted) -> list[ModelVersion]:
    """Every version in a registry, the newest first, and the one that is shipped. Reads and hashes all their files.

    Raises:
        ArtifactError: the file that says what is promoted is damaged.
    """
    promotion = registry.promotion()
    served = () if promotion is None else promotion.previous
    found = []
    for version in reversed(registry.candidates()):
        is_serving = promotion is not None and promotion.version == version
        told = _told(registry.folder / version, predicts)
        if told.state != "damaged":
            state = "serving" if is_serving else "served" if version in served else "candidate"
            promoted_at = rfc3339(epoch_us(promotion.promoted_at)) if is_serving and promotion is not None else None
            told = replace(told, state=state, promoted_at=promoted_at)
        found.append(told)
    folder = _SHIPPED[predicts]
    for path in [folder, *sorted(folder.glob("[!._]*"), reverse=True)]:
        if (path / DESCRIPTION).is_file():
            state = "serving" if promotion is None else "shipped"
            told = _told(path, predicts)
            found.append(told if told.state == "damaged" else replace(told, state=state))
            break
    return found


def _told(path: Path, predicts: Predicted) -> ModelVersion:
    try:
        about = describe(path)
    except ArtifactError as error:
        reason = str(error).replace(f"{path.parent}/", "")
        return ModelVersion(predicts=predicts, version=path.name, state="damaged", why_not=[reason])
    reasons = not_better(about)
    return ModelVersion(
        predicts=predicts,
        version=about.version,
        state="candidate",
        kind=about.kind,
        made_at=rfc3339(epoch_us(about.made_at)),
        data_source=about.data_source,
        data_from=rfc3339(epoch_us(about.data_from)),
        data_to=rfc3339(epoch_us(about.data_to)),
        roads=len(about.road_ids),
        unit=about.quantity.unit,
        scores=_scores(about),
        may_serve=not reasons,
        why_not=reasons,
    )


def _scores(about: Description) -> list[ModelScore]:
    judged = about.test
    if {MODEL, *RIVALS} - judged.keys():
        return []
    found = []
    for place, score in enumerate(judged[MODEL]):
        rules = {name: judged[name][place].mae_kmh for name in RIVALS}
        best = min(rules, key=rules.__getitem__)
        found.append(
            ModelScore(
                horizon_minutes=score.horizon_minutes,
                mae=score.mae_kmh,
                best_rule=best,
                best_rule_mae=rules[best],
            )
        )
    return found
