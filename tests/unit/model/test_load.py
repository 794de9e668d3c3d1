"""Model folders that are broken get one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

from halyard.errors import SnapshotError
from model import registry
from model.linear import OneDnnLinear
from model.load import load_policy, load_processor
from model.sail_vl2 import SailVl2ForConditionalGeneration, SailVl2Processor


@pytest.fixture
def copy(nano_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(nano_folder, tmp_path / "policy")


def refusal(path: Path) -> str:
    with pytest.raises(SnapshotError) as caught:
        load_policy(path, dtype=torch.float32)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_no_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nowhere") == f"there is no model folder {tmp_path / 'nowhere'}"


def test_no_configuration(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path} is no model folder: it has no config.json"
    (tmp_path / "config.json").write_text("[")
    assert "expected JSON with a model_type" in refusal(tmp_path)


def test_unknown_architecture(copy: Path) -> None:
    edit(copy, model_type="llama")
    assert "model_type is llama, which Halyard does not know; expected one of sail_vl2, sailvl, qwen3" in refusal(copy)


def test_no_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    assert f"the weights in {copy} cannot be read" in refusal(copy)


def test_weights_cut_short(copy: Path) -> None:
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    assert f"the weights in {copy} cannot be read" in refusal(copy)


def test_a_weight_is_missing(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["mlp1.1.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert refusal(copy).endswith("do not fit its config.json: they lack mlp1.1.weight")


def test_a_weight_too_many(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors") | {"mlp1.9.weight": torch.zeros(1)}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert refusal(copy).endswith("they also have mlp1.9.weight")


def test_a_weight_of_another_shape(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    weights["mlp1.1.weight"] = weights["mlp1.1.weight"][:-1].contiguous()
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "mlp1.1.weight" in refusal(copy)


@pytest.mark.parametrize("missing", ["tokenizer.json", "processor_config.json"])
def test_no_processor(copy: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(SnapshotError, match=f"the tokenizer in {copy} cannot be read"):
        load_processor(copy)


def test_a_chat_template_that_cannot_be_written(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ messages[0].content }}")
    with pytest.raises(SnapshotError, match="is not one that Halyard can write"):
        load_processor(copy)
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(SnapshotError, match="a tokenizer without a chat template"):
        load_processor(copy)


def test_the_auto_classes_know_it(nano_folder: Path) -> None:
    registry.register()
    registry.register()
    assert AutoConfig.from_pretrained(nano_folder).image_tokens == 16
    assert isinstance(AutoModelForImageTextToText.from_pretrained(nano_folder), SailVl2ForConditionalGeneration)
    assert isinstance(AutoProcessor.from_pretrained(nano_folder), SailVl2Processor)


def test_a_saved_policy_is_the_same_again(nano_folder: Path, tmp_path: Path) -> None:
    policy: Any = load_policy(nano_folder, dtype=torch.float32)
    policy.save_pretrained(tmp_path)
    before, after = (load_file(folder / "model.safetensors") for folder in (nano_folder, tmp_path))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_every_linear_layer_goes_through_onednn(nano_folder: Path) -> None:
    policy = load_policy(nano_folder, dtype=torch.float32)
    linears = [module for module in policy.modules() if isinstance(module, torch.nn.Linear)]
    assert linears
    assert all(type(module) is OneDnnLinear for module in linears)
    tied: Any = policy
    assert tied.language_model.lm_head.weight is tied.get_input_embeddings().weight
