"""A guard against foreign packages: `rl`, `model` and `rewards` are common names."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import halyard
from halyard.errors import ConfigError

ROOT = Path(halyard.__file__).resolve().parents[1]
"""The folder that our top-level packages are imported from."""

PACKAGES = ("configs", "halyard", "model", "rewards", "rl", "serving", "sft")


def check_origin(root: Path = ROOT) -> None:
    """Refuse to go on where one of our packages would be imported from elsewhere than `root`.

    Raises:
        ConfigError: names the package and the foreign file.
    """
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ConfigError(f"the package {package!r} cannot be imported; it belongs in {root / package}")
        found = Path(spec.origin).resolve().parent
        if found != root / package:
            raise ConfigError(
                f"{spec.origin} hides Halyard's own package {package!r}, which is in {root / package}. Rename that "
                "file or folder, or start from another directory."
            )
