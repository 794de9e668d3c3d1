"""The ground that every part of a recipe stands on: frozen, strict, finite, and no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictBool, StrictInt, StringConstraints

Count = Annotated[StrictInt, Field(ge=1)]
Natural = Annotated[StrictInt, Field(ge=0)]
Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Flag = StrictBool
LIVE = Field(json_schema_extra={"live": True})
"""Marks a key that can be changed while a run goes on (`configs.live`); `Annotated[Positive, LIVE]`."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=64)]


class Config(BaseModel):
    """A part of a recipe: immutable, and refusing what it does not know.

    Numbers and booleans are strict (`"1"` is not 1, `1` is not true, an int may stand for a float);
    sequences are tuples, so that a validated recipe can be shared and hashed.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
