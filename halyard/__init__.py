"""Halyard: post-training of vision-language policies with verifiable and judged rewards."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from halyard.data.types import Verdict as Verdict
    from rewards.registry import reward as reward
    from rewards.sample import Sample as Sample

__version__ = "0.1.0"
_HOMES = {"Verdict": "halyard.data.types", "reward": "rewards.registry", "Sample": "rewards.sample"}


def __getattr__(name: str) -> Any:
    """The public names, loaded when they are first used: `import halyard` alone loads nothing heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module 'halyard' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
