"""Adapters as PEFT writes them: what is served is read, what engines would leave out is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.adapters import linear, write_adapter

from halyard.errors import SnapshotError
from model.adapter import is_adapter, read_adapter, refuse_misfit
from model.load import architecture

LAYER = "language_model.model.layers.1.self_attn.q_proj"


def test_an_adapter_over_all_linear_layers_fits_its_base(nano_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lora", nano_folder, rank=6)
    adapter = read_adapter(folder)
    assert is_adapter(folder)
    assert not is_adapter(nano_folder)
    assert (adapter.rank, adapter.base) == (6, str(nano_folder))
    assert set(adapter.shapes) == set(linear(load_file(nano_folder / "model.safetensors")))
    refuse_misfit(adapter, nano_folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "LOHA"}, "peft_type is LOHA, expected LORA"),
        ({"use_dora": True}, "use_dora is true, which is more than LoRA's product"),
        ({"bias": "all"}, 'bias is "all"'),
        ({"modules_to_save": ["lm_head"]}, 'modules_to_save is \\["lm_head"\\]'),
        ({"init_lora_weights": "pissa"}, 'init_lora_weights is "pissa"'),
        ({"r": 16}, "has the rank 4, but adapter_config.json says r: 16"),
        ({"lora_alpha": None}, "lora_alpha None, expected two numbers"),
    ],
)
def test_what_is_more_than_the_product_of_a_and_b_is_refused(nano_folder, tmp_path, settings, message) -> None:
    write_adapter(tmp_path / "lora", nano_folder, [LAYER], **settings)
    with pytest.raises(SnapshotError, match=message):
        read_adapter(tmp_path / "lora")


def test_what_peft_writes_of_plain_and_rank_stabilised_lora_is_taken(nano_folder: Path, tmp_path: Path) -> None:
    plain = {"bias": "none", "init_lora_weights": True, "use_rslora": True, "modules_to_save": None, "use_dora": False}
    assert read_adapter(write_adapter(tmp_path / "lora", nano_folder, [LAYER], **plain)).rank == 4


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("language_model.model.embed_tokens", "changes language_model.model.embed_tokens, which engines do not adapt"),
        ("vision_model.preprocessor.patchifier.proj", "patchifier.proj, which engines do not adapt"),
        ("language_model.model.layers.7.mlp.up_proj", "layers.7.mlp.up_proj, which its base .* does not have"),
    ],
)
def test_layers_that_are_not_adapted_are_refused(nano_folder, tmp_path, module, message) -> None:
    folder = write_adapter(tmp_path / "lora", nano_folder, [LAYER])
    _rename(folder, module)
    with pytest.raises(SnapshotError, match=message):
        refuse_misfit(read_adapter(folder), nano_folder)


def test_an_adapter_of_another_policy_is_refused_by_the_shapes(nano_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lora", nano_folder, [LAYER])
    _rename(folder, "language_model.model.layers.1.mlp.down_proj")
    with pytest.raises(SnapshotError, match=r"has 64 x 64 for .*down_proj, which is 64 x 192 in its base"):
        refuse_misfit(read_adapter(folder), nano_folder)


def test_experts_are_no_base(moe_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lora", moe_folder, ["model.layers.0.self_attn.q_proj"])
    with pytest.raises(SnapshotError, match="is a qwen3_moe, over which no adapter is served"):
        refuse_misfit(read_adapter(folder), moe_folder)


def test_half_an_adapter_and_a_pickled_one_are_refused(nano_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lora", nano_folder, [LAYER])
    file = folder / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file({name: tensor for name, tensor in tensors.items() if "lora_A" in name}, file)
    with pytest.raises(SnapshotError, match=r"q_proj has no A .* of one rank"):
        read_adapter(folder)
    save_file(tensors | {"base_model.model.lm_head.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(SnapshotError, match=r"lm_head.weight is neither A nor B"):
        read_adapter(folder)
    file.rename(folder / "adapter_model.bin")
    with pytest.raises(SnapshotError, match=r"not complete: adapter_model.safetensors cannot be read"):
        read_adapter(folder)


def test_an_adapter_is_told_from_a_whole_policy(nano_folder: Path, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "lora", nano_folder, [LAYER])
    with pytest.raises(SnapshotError, match="is a LoRA adapter, no whole policy"):
        architecture(folder)
    (folder / "adapter_config.json").write_text(json.dumps([1]))
    with pytest.raises(SnapshotError, match="lacks one of lora_alpha, peft_type, r, target_modules"):
        read_adapter(folder)


def _rename(folder: Path, module: str) -> None:
    """The adapter's one layer under another name."""
    file = folder / "adapter_model.safetensors"
    save_file({name.replace(LAYER, module): tensor for name, tensor in load_file(file).items()}, file)
