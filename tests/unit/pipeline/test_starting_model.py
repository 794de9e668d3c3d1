"""What a run starts from: the user's folder as it is, or what the run makes of a released one, once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from configs.model import ModelConfig
from halyard.pipeline.walk import starting_model
from model.build import build
from model.convert import convert
from model.load import architecture


def test_a_released_folder_is_converted_once_in_the_run(tmp_path: Path) -> None:
    build("nano", tmp_path / "ours", seed=0)
    (tmp_path / "released").mkdir()
    convert(tmp_path / "ours", tmp_path / "released")
    loaded: Any = SimpleNamespace(resolve=lambda path: tmp_path / path)
    run: Any = SimpleNamespace(path=tmp_path / "run")
    assert starting_model(ModelConfig(path="ours"), loaded, run, "policy") == tmp_path / "ours"
    made = starting_model(ModelConfig(path="released"), loaded, run, "policy")
    assert made == tmp_path / "run" / "models" / "policy"
    assert architecture(made) == "sail_vl2"
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert starting_model(ModelConfig(path="released"), loaded, run, "policy") == made
    assert (made / "model.safetensors").stat().st_mtime_ns == before
