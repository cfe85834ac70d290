"""What all sections of the settings share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    """A section; unknown names are refused, and nothing changes after the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)
