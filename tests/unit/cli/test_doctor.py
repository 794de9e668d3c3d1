"""The doctor's findings: each level where it belongs, and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from halyard.cli import examination
from halyard.cli.examination import Finding
from halyard.cli.main import app


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found: dict[str, str] = {"torch": "2.13.0+cpu"}
    monkeypatch.setattr(examination, "version", found.get)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return found


def test_a_cuda_torch_without_gpus_is_named(versions: dict[str, str]) -> None:
    assert examination.torch_build().level == "ok"
    versions["torch"] = "2.13.0"
    finding = examination.torch_build()
    assert finding.level == "warning"
    assert "+cpu" in finding.advice
    del versions["torch"]
    assert examination.torch_build().level == "problem"


def test_the_trio_breaks_a_cpu_torch(versions: dict[str, str]) -> None:
    assert examination.trio().level == "ok"
    versions["torchvision"] = "0.28.0"
    finding = examination.trio()
    assert finding.level == "problem"
    assert "pip uninstall torchvision" in finding.advice
    versions["torch"] = "2.13.0"
    assert examination.trio().level == "ok"


def test_other_versions_than_the_pins_are_listed(
    versions: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "cpu.txt"
    pins.write_text("# made\ntorch==2.13.0+cpu\nray==2.60.0\n")
    monkeypatch.setattr(examination, "PINS", pins)
    assert "ray missing (pinned 2.60.0)" in examination.packages().found
    versions["ray"] = "2.60.0"
    assert examination.packages().level == "ok"


def test_little_shared_memory_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=64 * 1024**2))
    finding = examination.shared_memory()
    assert (finding.level, finding.found) == ("problem", "0.06 GiB free")
    assert "--shm-size" in finding.advice


def test_what_does_not_start_is_told_by_its_last_line() -> None:
    finding = examination.starts("raise RuntimeError('no luck')", "started")
    assert (finding.level, finding.found) == ("problem", "not started: RuntimeError: no luck")
    assert examination.starts("pass", "started").level == "ok"


@pytest.mark.parametrize(("level", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_exit_codes(monkeypatch: pytest.MonkeyPatch, level: str, code: int) -> None:
    finding = Finding(level, "something", "do this")  # type: ignore[arg-type]
    monkeypatch.setattr(examination, "examinations", lambda *, quick: [("thing", lambda: finding)])
    result = CliRunner().invoke(app, ["doctor", "--quick"])
    assert result.exit_code == code
    assert "do this" in result.stdout
