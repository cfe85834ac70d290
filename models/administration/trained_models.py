"""Body of ``/api/admin/models``: trained models, what they are worth, and which one serves."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

#: What a model predicts.
Predicted = Literal["roads", "cameras"]


class ModelScore(Struct, frozen=True, kw_only=True):
    """The mean absolute error at a horizon, on the part of the history that the model never saw.

    Attributes:
        mae: of the model, in its unit.
        best_rule: the simple rule that does best there.
        best_rule_mae: what that one errs.
    """

    horizon_minutes: float
    mae: float
    best_rule: str
    best_rule_mae: float


class ModelVersion(Struct, frozen=True, kw_only=True):
    """A version that was trained.

    Attributes:
        state: ``serving``; ``served`` before; a ``candidate``; ``shipped`` with the program, which serves while no
            other does; ``damaged`` when it cannot be read, `why_not` says why.
        made_at, data_from, data_to: RFC 3339 UTC.
        unit: of the errors.
        may_serve: whether it beats every simple rule everywhere; `why_not` says where it does not.
    """

    predicts: Predicted
    version: str
    state: Literal["serving", "served", "candidate", "shipped", "damaged"]
    promoted_at: str | None = None
    kind: str = ""
    made_at: str | None = None
    data_source: str = ""
    data_from: str | None = None
    data_to: str | None = None
    roads: int = 0
    unit: str = ""
    scores: list[ModelScore] = []
    may_serve: bool = False
    why_not: list[str] = []


class PromotedVersion(Struct, frozen=True, kw_only=True):
    """Answer to a promotion."""

    predicts: Predicted
    version: str
    promoted_at: str
    previous: list[str]
