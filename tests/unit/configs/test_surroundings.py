"""Files, keys, disk and ports that a recipe needs, looked at before anything starts."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.recipes_for_tests import written

from configs import surroundings
from configs.load import load_recipe
from configs.surroundings import check_surroundings, room_needed
from halyard.errors import ConfigError


def refusal(folder: Path, *overrides: str, runs: Path | None = None) -> str:
    loaded = load_recipe(written(folder), overrides)
    with pytest.raises(ConfigError) as caught:
        check_surroundings(loaded, runs)
    return str(caught.value)


def test_a_sound_recipe_passes(tmp_path: Path) -> None:
    check_surroundings(load_recipe(written(tmp_path)), tmp_path / "not" / "yet")


def test_model_folders(tmp_path: Path) -> None:
    path = ["model.build=null", "model.path=policy"]
    assert f"model.path is policy, but there is no folder {tmp_path / 'policy'}" in refusal(tmp_path, *path)
    (tmp_path / "policy").mkdir()
    assert "it has no config.json" in refusal(tmp_path, *path)
    (tmp_path / "policy" / "config.json").write_text("{}")
    check_surroundings(load_recipe(written(tmp_path), path))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{type: jsonl, path: rows/*.jsonl}", "no file matches"),
        ("{type: parquet, path: rows.parquet}", "no file matches"),
        ("{type: huggingface, path: ./rows}", "there is no folder"),
    ],
)
def test_sources(tmp_path: Path, source: str, sentence: str) -> None:
    assert sentence in refusal(tmp_path, f"rl.data.sources=[{source}]")


def test_patterns_match_from_the_recipes_folder_or_absolutely(tmp_path: Path) -> None:
    file = tmp_path / "rows" / "deep" / "a.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    for path in ("rows/**/*.jsonl", "rows/deep/a.jsonl", str(tmp_path / "rows" / "deep" / "?.jsonl")):
        check_surroundings(load_recipe(written(tmp_path), [f"rl.data.sources=[{{type: jsonl, path: '{path}'}}]"]))


def test_reward_functions(tmp_path: Path) -> None:
    term = "rl.rewards.terms=[{{type: python, path: {}, name: short}}]"
    assert "there is no file" in refusal(tmp_path, term.format("mine.py"))
    (tmp_path / "mine.py").write_text("def long(sample): ...\n")
    assert "defines no function of that name: it has long" in refusal(tmp_path, term.format("mine.py"))
    (tmp_path / "mine.py").write_text("def (\n")
    assert "cannot be read as Python" in refusal(tmp_path, term.format("mine.py"))
    (tmp_path / "mine.py").write_text("raise SystemExit\ndef short(sample): ...\n")
    check_surroundings(load_recipe(written(tmp_path), [term.format("mine.py")]))
    assert "or an importable module" in refusal(tmp_path, term.format("no.such.module"))


def test_keys_of_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    term = "rl.rewards.terms=[{type: judge, url: 'http://localhost/v1', api_key_env: JUDGE_KEY}]"
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    assert "is JUDGE_KEY, but no such environment variable is set" in refusal(tmp_path, term)
    monkeypatch.setenv("JUDGE_KEY", "x")
    check_surroundings(load_recipe(written(tmp_path), [term]))


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("url: 'http://localhost/v1', rubric: thinkin", "rubric is thinkin: there is no rubric thinkin; did you mean"),
        ("url: 'http://localhost/v1', rubric: mine.yaml", "rubric is mine.yaml: "),
        ("rubric: thinking", "shows images, and the pipeline's own judge is asked in text: give a url"),
    ],
)
def test_rubrics_of_judges(tmp_path: Path, term: str, said: str) -> None:
    own = ("warm-up.role=judge", "warm-up.model={build: nano}")
    assert said in refusal(tmp_path, f"rl.rewards.terms=[{{type: answer}}, {{type: judge, {term}}}]", *own)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"cluster.learner.port is {port}" in refusal(tmp_path, f"cluster.learner.port={port}", runs=tmp_path)
    check_surroundings(load_recipe(written(tmp_path), [f"cluster.learner.port={port}"]), tmp_path)


def test_a_disk_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1.5 * 1024**3))
    message = refusal(tmp_path, runs=tmp_path / "runs")
    assert "the disk is nearly full: 1.5 GiB are free" in message
    assert "may need 2.0 GiB" in message


def test_room_for_snapshots_and_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trained stages and two checkpoints of six times the weights: 1 GiB x (2 + 12) + 2 to spare."""
    monkeypatch.setattr(surroundings, "GIB", 1024)
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1024))
    loaded = load_recipe(written(tmp_path), ["model.build=null", "model.path=policy"])
    assert room_needed(loaded) == 16.0
