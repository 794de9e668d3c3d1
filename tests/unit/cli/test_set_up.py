"""`make setup` says in one sentence what it lacks: Python 3.11, or a CPU build of torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose virtual environment has a pip that finds nothing."""
    for name in ("Makefile", "pyproject.toml", "requirements"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name in ("python", "pip"):
        (commands / name).write_text("#!/bin/sh\n[ $1 = -c ] && exit 0\necho ERROR: no match >&2\nexit 1\n")
        (commands / name).chmod(0o755)
    return tmp_path


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_no_cpu_build_of_torch(clone: Path) -> None:
    result = make(clone, "setup", "PYTHON=.venv/bin/python")
    assert result.returncode == 2
    assert "No CPU build of torch 2." in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not list(clone.glob(".venv/.halyard-*")), "a set-up that failed must be tried again"


def test_a_package_that_cannot_be_had(clone: Path) -> None:
    script = "#!/bin/sh\ncase $* in *torch==*) exit 0;; esac\necho ERROR: nothing >&2\nexit 1\n"
    (clone / ".venv" / "bin" / "pip").write_text(script)
    result = make(clone, "setup", "PYTHON=.venv/bin/python")
    assert result.returncode == 2
    assert "ERROR: nothing\nNot every package could be installed" in result.stdout


@pytest.mark.parametrize("python", ["python0.1", "false"])
def test_no_python_or_another(clone: Path, python: str) -> None:
    result = make(clone, "setup", f"PYTHON={python}")
    assert result.returncode == 2
    assert f"Halyard needs Python 3.11 (or 3.12), and '{python}' is not that" in result.stdout + result.stderr


def test_every_target_is_listed_with_its_meaning() -> None:
    listed = make(ROOT, "help").stdout
    for target in ("quickstart", "test", "lint", "serve", "bench", "clean", "docs"):
        assert f"make {target} " in listed
