"""The released layout, made at tiny size: there and back bit for bit, and what is wrong with a folder named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jinja2 import TemplateError
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from halyard.errors import SnapshotError
from model.chat_format import RELEASED
from model.convert import convert, expected_weights
from model.load import load_policy, load_processor
from model.render import ChatMessage
from model.sail_vl2 import SailVl2Processor
from model.sizes import published

OUTPUT = "language_model.lm_head.weight"
EMBEDDING = "language_model.model.embed_tokens.weight"


def converted(source: Path, target: Path, **options: Any) -> Path:
    target.mkdir(parents=True)
    convert(source, target, **options)
    return target


@pytest.fixture(scope="module")
def released(variants: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the released layout whose output layer is not its embedding, as in the released 2B."""
    folder = converted(variants["micro-tiles"], tmp_path_factory.mktemp("released") / "policy")
    weights = load_file(folder / "model.safetensors")
    weights[OUTPUT] = torch.randn_like(weights[OUTPUT])
    save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    return shutil.copytree(released, tmp_path / "policy")


def all_weights(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def names_in_the_released_index() -> set[str]:
    """As the index of the released SAIL-VL2-2B lists them: 28 decoder layers, 24 of the tower."""
    norms = ("input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm")
    matrices = [f"mlp.{name}_proj" for name in ("gate", "up", "down")] + [f"self_attn.{n}_proj" for n in "qkvo"]
    decoder = {f"language_model.model.layers.{n}.{part}.weight" for n in range(28) for part in (*norms, *matrices)}
    parts = ("attn.qkv", "attn.proj", "norm_1", "norm_2", "mlp.fc1", "mlp.fc2", "mlp.fc3")
    tower = {f"vision_model.trunk.blocks.{n}.{part}.weight" for n in range(24) for part in parts}
    preprocessor = {"pos_embed", "patchifier.proj.weight", "patchifier.proj.bias", "patchifier.norm.weight"}
    return (
        decoder
        | tower
        | {f"vision_model.preprocessor.{name}" for name in preprocessor}
        | {f"mlp1.{n}.{kind}" for n in (0, 1, 3) for kind in ("weight", "bias")}
        | {OUTPUT, EMBEDDING, "language_model.model.norm.weight", "vision_model.trunk.post_trunk_norm.weight"}
    )


def test_the_2bs_weights_have_the_names_of_the_released_index() -> None:
    names = names_in_the_released_index()
    assert len(names) == 490
    assert expected_weights(published()["2B"]).keys() == names


@pytest.mark.parametrize("size", ["micro-tiles", "micro-native", "micro-moe"])
@pytest.mark.parametrize("shard_bytes", [10**9, 10**6])
def test_ours_there_and_back(variants: dict[str, Path], tmp_path: Path, size: str, shard_bytes: int) -> None:
    ours = variants[size]
    there = converted(ours, tmp_path / "there", shard_bytes=shard_bytes)
    back = converted(there, tmp_path / "back", shard_bytes=shard_bytes)
    assert len(list(there.glob("*.safetensors"))) == (1 if shard_bytes == 10**9 else 9 if size == "micro-moe" else 6)
    before, after = all_weights(ours), all_weights(back)
    assert same(before, after)
    assert same(all_weights(there), before | {OUTPUT: before[EMBEDDING]})  # the released code ties nothing
    for name in ("config.json", "chat_template.jinja", "tokenizer.json", "tokenizer_config.json"):
        assert (back / name).read_text() == (ours / name).read_text(), name


def test_theirs_there_and_back(released: Path, tmp_path: Path) -> None:
    ours = converted(released, tmp_path / "ours")
    assert same(all_weights(ours), all_weights(released))
    assert not json.loads((ours / "config.json").read_text())["tie_word_embeddings"]
    back = converted(ours, tmp_path / "back")
    assert same(all_weights(back), all_weights(released))
    before, after = (json.loads((folder / "config.json").read_text()) for folder in (released, back))
    assert before["llm_config"].pop("tie_word_embeddings")  # which was not so, and is said now
    assert not after["llm_config"].pop("tie_word_embeddings")
    assert before == after
    assert (back / "preprocessor_config.json").read_text() == (released / "preprocessor_config.json").read_text()


def test_all_layouts_load_and_compute_the_same(released: Path, tmp_path: Path) -> None:
    ours = converted(released, tmp_path / "ours", shard_bytes=10**6)
    image = Image.effect_noise((130, 60), 60).convert("RGB")
    found = []
    for folder in (released, ours):
        renderer, policy = load_processor(folder), load_policy(folder, dtype=torch.float32).eval()
        prompt = renderer.prompt([ChatMessage("user", "which?", (image,))], thinking=True)
        ids = torch.from_numpy(prompt.token_ids)[None]
        with torch.no_grad():
            logits = policy(input_ids=ids, pixel_values=torch.from_numpy(prompt.pixel_values)).logits
        found.append((ids, logits))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_a_tied_policy_in_the_released_layout_loads_tied(variants: dict[str, Path], tmp_path: Path) -> None:
    folder = converted(variants["micro-moe"], tmp_path / "there")
    policy: Any = load_policy(folder, dtype=torch.float32)
    assert policy.language_model.lm_head.weight is policy.get_input_embeddings().weight


def test_a_folder_as_released_gets_the_released_chat_format(copy: Path, tmp_path: Path) -> None:
    """Its vocabulary has no /think, its configuration no word of ours, its tokenizer another model's template."""
    (copy / "config.json").write_text((copy / "config.json").read_text().replace('"halyard"', '"unknown"'))
    (copy / "preprocessor_config.json").write_text(
        json.dumps({"max_dynamic_patch": 10, "image_size": 56, "use_msac": False, "pad_input": True})
    )
    tokenizer = (copy / "tokenizer.json").read_text().replace('"/think"', '"<quad>"').replace('"/no_think"', '"<ref>"')
    (copy / "tokenizer.json").write_text(tokenizer)
    edit(copy / "tokenizer_config.json", lambda c: c.update(chat_template="{{ '<|im_middle|>' }}"))
    edit(copy / "tokenizer_config.json", lambda c: c.pop("additional_special_tokens", None))
    edit(copy / "tokenizer_config.json", lambda c: c.pop("extra_special_tokens", None))
    renderer = load_processor(copy)
    assert renderer.chat_format is RELEASED
    images = (Image.new("RGB", (112, 56)), Image.new("RGB", (56, 56)))
    prompt = renderer.prompt([ChatMessage("user", "which?", images)], thinking=False)
    shown = renderer.tokenizer.decode(prompt.token_ids).replace("<IMG_CONTEXT>", "*")
    assert shown == (
        f"<|im_start|>system\n{RELEASED.default_system}<|im_end|><|im_start|>user\n"
        f"Image-1: <img>{'*' * 12}</img>\nImage-2: <img>****</img>\nwhich?<|im_end|><|im_start|>assistant\n"
    )
    ours = converted(copy, tmp_path / "ours")
    assert load_processor(ours).chat_format is RELEASED
    processor = SailVl2Processor.from_pretrained(ours)
    content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": "which?"}]
    chat = [{"role": "user", "content": content}]
    theirs = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)
    assert theirs["input_ids"][0] == prompt.token_ids.tolist()
    with pytest.raises(TemplateError, match="was not taught to call tools"):
        processor.apply_chat_template(chat, tools=[{"type": "function", "function": {"name": "add"}}])


def test_code_in_the_folder_is_never_run(copy: Path, tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    for name in ("configuration_sailvl", "modeling_sailvl", "processing_sailvl", "image_processing_sailvl", "tok"):
        (copy / f"{name}.py").write_text(trap)
    edit(copy / "tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["tok.Tok", None]}))
    ours = converted(copy, tmp_path / "ours")
    for folder in (copy, ours):
        load_policy(folder, dtype=torch.float32)
        load_processor(folder)
    assert not (tmp_path / "ran").exists()
    assert not list(ours.glob("*.py"))
    assert "auto_map" not in (ours / "tokenizer_config.json").read_text()


def refusal(source: Path, target: Path) -> str:
    target.mkdir()
    with pytest.raises(SnapshotError) as caught:
        convert(source, target)
    assert "\n" not in str(caught.value)
    assert not list(target.glob("*.safetensors"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop("mlp1.3.bias"), "they lack mlp1.3.bias"),
        (lambda w: w.update({"mlp1.9.bias": torch.zeros(1)}), "they also have mlp1.9.bias"),
        (
            lambda w: w.update({"mlp1.3.bias": torch.zeros(5)}),
            "they have another shape for mlp1.3.bias (5 instead of 128)",
        ),
    ],
)
def test_weights_that_do_not_fit(copy: Path, tmp_path: Path, change: Callable, problem: str) -> None:
    weights = load_file(copy / "model.safetensors")
    change(weights)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert refusal(copy, tmp_path / "out") == f"the weights in {copy} do not fit its config.json: {problem}"
    with pytest.raises(SnapshotError, match=r"mlp1\.[39]\.bias"):
        load_policy(copy, dtype=torch.float32)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.pop("llm_config"), "it lacks 'llm_config'"),
        (lambda c: c.update(ps_version="v1"), "ps_version is v1, but only v2 is known here"),
        (lambda c: c["vision_config"].update(qkv_bias=True), "vision_config.qkv_bias is True, but only False"),
        (lambda c: c.update(force_image_size=448), "force_image_size is 448, but the positions are of"),
        (lambda c: c["llm_config"].update(model_type="qwen2"), "its language model is qwen2, expected one of qwen3,"),
        (lambda c: c.update(select_layer=-9), "select_layer is -9, but the vision tower has 3 layers"),
    ],
)
def test_configurations_of_something_else(copy: Path, tmp_path: Path, change: Callable, problem: str) -> None:
    edit(copy / "config.json", change)
    assert problem in refusal(copy, tmp_path / "out")


def test_folders_that_are_no_sail_vl2(copy: Path, dense_folder: Path, tmp_path: Path) -> None:
    assert "holds a qwen3, which has one layout only" in refusal(dense_folder, tmp_path / "a")
    (copy / "tokenizer.json").unlink()
    assert refusal(copy, tmp_path / "b") == f"{copy} has no tokenizer.json"
    assert refusal(tmp_path / "nowhere", tmp_path / "c").startswith("there is no model folder")
