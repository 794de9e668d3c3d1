"""The command line: what is wrong ends with exit code 2 and one sentence, before anything starts."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.recipes_for_tests import written
from typer.testing import CliRunner, Result

from halyard.cli.main import app
from halyard.cluster.origin import ROOT
from halyard.errors import ConfigError
from halyard.runs.folder import choose_folder

SMALL_PLACES = ("cluster.engine.cpus=0.25", "cluster.learner.cpus=0.25")
"""So that the tests pass on a machine with one core."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Pipelines that were started: a refused command starts none."""
    calls: list[object] = []
    pipeline = SimpleNamespace(run_pipeline=lambda *arguments, **options: calls.append((arguments, options)))
    monkeypatch.setitem(sys.modules, "halyard.pipeline.run", pipeline)
    return calls


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def refused(result: Result, sentence: str) -> None:
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout


def rl_rows(folder: Path, rows: list[dict]) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "rl.data.sources=[{type: jsonl, path: rows.jsonl}]"


class TestRefusals:
    def run(self, folder: Path, *overrides: str) -> Result:
        return call("run", written(folder), *overrides, "--runs", str(folder / "runs"))

    def test_an_unknown_key(self, tmp_path: Path, started: list[object]) -> None:
        refused(self.run(tmp_path, "rl.stps=3"), "stages[1].stps is not a known key; did you mean steps?")
        assert not started

    def test_a_wrong_type(self, tmp_path: Path, started: list[object]) -> None:
        refused(self.run(tmp_path, "rl.steps=many"), 'stages[1].steps is "many", expected a whole number')
        assert not started

    def test_an_impossible_placement(self, tmp_path: Path, started: list[object]) -> None:
        refused(
            self.run(tmp_path, "cluster.engine.cpus=4096"), "1 engine × 4096 cores + 1 learner rank × 1 cores = 4097"
        )
        assert not started

    def test_a_missing_model_folder(self, tmp_path: Path, started: list[object]) -> None:
        result = self.run(tmp_path, "model.build=null", "model.path=policy")
        refused(result, f"there is no folder {tmp_path / 'policy'}")
        assert not started

    def test_a_dataset_without_answers(self, tmp_path: Path, started: list[object]) -> None:
        source = rl_rows(tmp_path, [{"messages": [{"role": "user", "content": "2 + 3?"}], "task": "math"}])
        refused(self.run(tmp_path, source, *SMALL_PLACES), "answer")
        assert not started

    def test_a_reward_with_a_wrong_parameter(self, tmp_path: Path, started: list[object]) -> None:
        (tmp_path / "mine.py").write_text(
            "from halyard import reward\n@reward\ndef short(sample, limit: int = 3) -> float:\n    return 1.0\n"
        )
        term = "rl.rewards.terms=[{type: python, path: mine.py, name: short, parameters: {limt: 4}}]"
        refused(self.run(tmp_path, term, *SMALL_PLACES), "limt")
        assert not started

    def test_an_image_that_is_none(self, tmp_path: Path, started: list[object]) -> None:
        (tmp_path / "cat.png").write_text("this is not a cat")
        content = [{"type": "image", "image": "cat.png"}, {"type": "text", "text": "What is this?"}]
        source = rl_rows(
            tmp_path, [{"messages": [{"role": "user", "content": content}], "answer": "5", "task": "math"}]
        )
        refused(self.run(tmp_path, source, *SMALL_PLACES), "cat.png")
        assert not started

    def test_a_port_in_use(self, tmp_path: Path, started: list[object]) -> None:
        with socket.socket() as taken:
            taken.bind(("", 0))
            taken.listen()
            port = taken.getsockname()[1]
            refused(self.run(tmp_path, f"cluster.learner.port={port}", "cluster.engine.cpus=0.1"), f"is {port}, but")
        assert not started

    def test_a_disk_nearly_full(self, tmp_path: Path, started: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100 * 1024**2))
        refused(self.run(tmp_path), "the disk is nearly full: 0.1 GiB are free")
        assert not started

    def test_an_existing_run(self, tmp_path: Path, started: list[object]) -> None:
        (tmp_path / "runs" / "mine").mkdir(parents=True)
        (tmp_path / "runs" / "mine" / "recipe.json").write_text("{}")
        result = call("run", written(tmp_path), "--runs", str(tmp_path / "runs"), "--name", "mine")
        refused(result, "is there already: go on with it by --resume, or take another --name")
        assert not started

    def test_nothing_to_resume(self, tmp_path: Path, started: list[object]) -> None:
        result = call("run", written(tmp_path), "--runs", str(tmp_path / "runs"), "--name", "mine", "--resume")
        refused(result, "there is no run")
        assert not started

    def test_a_wrong_option(self) -> None:
        result = call("run", "quickstart", "--nmae", "x")
        assert result.exit_code == 2
        assert "--nmae" in result.stderr


def test_a_sound_recipe_starts(tmp_path: Path, started: list[object]) -> None:
    result = call("run", written(tmp_path), *SMALL_PLACES, "--runs", str(tmp_path / "runs"))
    assert result.exit_code == 0, result.output
    assert len(started) == 1


class TestNames:
    def test_new_runs_are_numbered(self, tmp_path: Path) -> None:
        assert choose_folder(tmp_path, "small", None, resume=False).name == "small-001"
        (tmp_path / "small-007").mkdir()
        (tmp_path / "small-x").mkdir()
        assert choose_folder(tmp_path, "small", None, resume=False).name == "small-008"

    def test_resuming_without_a_name_takes_the_newest(self, tmp_path: Path) -> None:
        for name in ("small-001", "small-002"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "recipe.json").write_text("{}")
        assert choose_folder(tmp_path, "small", None, resume=True) == tmp_path / "small-002"
        with pytest.raises(ConfigError, match="the runs there: small-001, small-002"):
            choose_folder(tmp_path, "other", None, resume=True)

    @pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a b"])
    def test_names_that_are_no_names(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="cannot be called"):
            choose_folder(tmp_path, "small", name, resume=False)


class TestRecipeCommands:
    def test_list_show_check(self, tmp_path: Path) -> None:
        assert "quickstart" in call("recipe", "list").stdout
        shown = call("recipe", "show", written(tmp_path), "rl.steps=9")
        assert "steps: 9" in shown.stdout
        checked = call("recipe", "check", written(tmp_path))
        assert (checked.exit_code, checked.stdout) == (0, "small is valid: warm-up, rl\n")

    def test_what_is_shown_can_be_run(self, tmp_path: Path) -> None:
        shown = call("recipe", "show", "quickstart").stdout
        again = call("recipe", "show", written(tmp_path, shown))
        assert again.stdout == shown

    def test_check_refuses(self, tmp_path: Path) -> None:
        refused(call("recipe", "check", "quickstrat"), "did you mean quickstart?")
        refused(call("recipe", "check", written(tmp_path), "rl.sampling.temperature=0"), "greedy answers")


class TestErrors:
    def test_a_bug_is_one_line_with_its_place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*arguments: object) -> None:
            raise KeyError("surprise")

        monkeypatch.setattr("configs.load.load_recipe", broken)
        result = call("recipe", "check", "quickstart")
        assert result.exit_code == 1
        assert "KeyError: 'surprise' (test_commands.py:" in result.stderr
        assert isinstance(call("--debug", "recipe", "check", "quickstart").exception, KeyError)

    def test_an_interrupt_ends_with_130(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("configs.load.load_recipe", interrupted)
        assert call("recipe", "check", "quickstart").exit_code == 130

    def test_another_package_of_our_name_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "rewards.py").write_text("")
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "halyard.cli.main", "recipe", "list"]
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert f"{tmp_path / 'rewards.py'} hides Halyard's own package 'rewards'" in result.stderr


@pytest.mark.parametrize(
    "command", ["run", "status", "chat", "doctor", "recipe list", "recipe check", "snapshot verify", "data show"]
)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = call(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Example: " in result.stdout


def test_help_loads_nothing_heavy() -> None:
    code = "import sys, halyard.cli.main; print([m for m in ('torch', 'ray', 'vllm', 'pydantic') if m in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout.strip() == "[]"
