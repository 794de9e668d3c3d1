"""One run of the tiny recipe, for all tests that look at what a pipeline leaves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import RECIPES, halyard


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny recipe, from random weights to the last evaluation; what it said is in screen.txt."""
    runs = tmp_path_factory.mktemp("runs")
    result = halyard("run", str(RECIPES / "tiny.yaml"), "--runs", str(runs), "--name", "tiny", cwd=runs)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    (runs / "tiny" / "screen.txt").write_text(result.stdout)
    return runs / "tiny"
