"""Soups of tiny policies: what comes out, what is refused, what is doubted, and how little memory it takes."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from halyard.errors import ConfigError, SnapshotError
from model.lineage import digest, trace
from model.load import load_policy
from model.snapshot import read_manifest, verify, write_manifest
from model.soup import Merge, Soup, planned
from model.weight_files import WeightFiles

NORM = "model.norm.weight"
EMBEDDING = "model.embed_tokens.weight"
UNIFORM = Merge(method="uniform", weights=(0.5, 0.5))


@pytest.fixture
def family(dense_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A maker of models: the base with noise of a length, as a snapshot tuned from it."""

    def make(name: str, noise: float = 0.01, seed: int = 1, **lineage: Any) -> Path:
        folder = shutil.copytree(dense_folder, tmp_path / name)
        torch.manual_seed(seed)
        weights = load_file(folder / "model.safetensors")
        changed = {key: tensor + noise * torch.randn_like(tensor) for key, tensor in weights.items()}
        save_file(changed, folder / "model.safetensors")
        told = {"type": "sft", "role": "policy", "start": str(dense_folder)} | lineage
        write_manifest(folder, version=name, parent=None, lineage=told)
        return folder

    return make


def weights_of(folder: Path) -> dict[str, Tensor]:
    return {key: tensor for file in folder.glob("*.safetensors") for key, tensor in load_file(file).items()}


def cooked(models: list[Path], target: Path, merge: Merge = UNIFORM, **options: Any) -> dict[str, Tensor]:
    target.mkdir()
    Soup(models, options.pop("base", None)).write(target, merge, version=target.name, **options)
    return weights_of(target)


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_uniform_soup_is_a_snapshot_that_loads(family: Callable[..., Path], tmp_path: Path) -> None:
    one, other = family("one"), family("other", seed=2)
    soup = cooked([one, other], tmp_path / "soup")
    first, second = weights_of(one), weights_of(other)
    for key in first:
        assert torch.allclose(soup[key], (first[key] + second[key]) / 2, atol=1e-7)
    verify(tmp_path / "soup")
    assert load_policy(tmp_path / "soup", dtype=torch.float32).get_parameter(NORM).equal(soup[NORM])
    told = read_manifest(tmp_path / "soup").lineage
    assert (told["type"], told["method"], told["role"]) == ("soup", "uniform", "policy")
    assert [(parent["version"], parent["weight"]) for parent in told["parents"]] == [("one", 0.5), ("other", 0.5)]


def test_weights_are_a_share_each(family: Callable[..., Path], tmp_path: Path) -> None:
    one, other = family("one"), family("other", seed=2)
    merge = planned(2, method=None, weights=[3, 1], has_base=False, density=None, scale=None, seed=None)
    assert merge == Merge(method="weighted", weights=(0.75, 0.25))
    soup = cooked([one, other], tmp_path / "soup", merge)
    expected = 0.75 * weights_of(one)[EMBEDDING] + 0.25 * weights_of(other)[EMBEDDING]
    assert torch.allclose(soup[EMBEDDING], expected, atol=1e-7)


@pytest.mark.parametrize("method", ["ties", "dare"])
def test_a_single_direction_is_added_to_the_base(
    family: Callable[..., Path], dense_folder: Path, tmp_path: Path, method: Any
) -> None:
    """Two models that moved alike, all of it kept: the base and the scale times that way."""
    one = family("one")
    other = family("other")
    edit(other / "generation_config.json", lambda config: config.update(extra=1))  # not what a model computes
    merge = Merge(method=method, weights=(0.5, 0.5), density=1.0, scale=0.5, seed=0)
    soup = cooked([one, other], tmp_path / "soup", merge, base=dense_folder)
    base, moved = weights_of(dense_folder), weights_of(one)
    for key in base:
        assert torch.allclose(soup[key], base[key] + 0.5 * (moved[key] - base[key]), atol=1e-6)
    assert read_manifest(tmp_path / "soup").lineage["base"]["folder"] == str(dense_folder)


def test_dare_does_not_depend_on_the_files(family: Callable[..., Path], dense_folder: Path, tmp_path: Path) -> None:
    models = [family("one"), family("other", seed=2)]
    merge = Merge(method="dare", weights=(0.5, 0.5), density=0.3, scale=1.0, seed=7)
    whole = cooked(models, tmp_path / "whole", merge, base=dense_folder)
    sharded = cooked(models, tmp_path / "sharded", merge, base=dense_folder, shard_bytes=100_000)
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    assert all(torch.equal(whole[key], sharded[key]) for key in whole)
    again = cooked([tmp_path / "sharded", models[0]], tmp_path / "again")  # a sharded model with one that is not
    assert again.keys() == whole.keys()


def test_the_first_models_dtype_stays(family: Callable[..., Path], tmp_path: Path) -> None:
    one, other = family("one"), family("other", seed=2)
    save_file({key: tensor.bfloat16() for key, tensor in weights_of(one).items()}, one / "model.safetensors")
    assert {tensor.dtype for tensor in cooked([one, other], tmp_path / "soup").values()} == {torch.bfloat16}


def test_one_tensor_of_each_model_is_in_memory(
    family: Callable[..., Path], dense_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a tensor is read, nothing that was read under another name is held any more, not even by a view."""
    models = [family("one"), family("other", seed=2)]
    alive: list[tuple[str, weakref.ref[torch.UntypedStorage]]] = []
    read = WeightFiles.read

    def watched(self: WeightFiles, key: str) -> Tensor:
        assert {name for name, storage in alive if storage() is not None} <= {key}
        tensor = read(self, key)
        alive.append((key, weakref.ref(tensor.untyped_storage())))
        return tensor

    monkeypatch.setattr(WeightFiles, "read", watched)
    gc.collect()
    soup = Soup(models, dense_folder)
    soup.taste()
    (tmp_path / "soup").mkdir()
    soup.write(tmp_path / "soup", Merge(method="ties", weights=(0.5, 0.5), density=0.2, scale=1.0), version="soup")
    assert len(alive) == 2 * 3 * len(soup.models[0].layout)


def refusal(models: list[Path]) -> str:
    with pytest.raises(SnapshotError) as caught:
        Soup(models).taste()
    return str(caught.value)


def test_another_architecture(dense_folder: Path, moe_folder: Path, nano_folder: Path) -> None:
    assert "qwen3 and" in refusal([dense_folder, moe_folder])
    assert "qwen3_moe" in refusal([dense_folder, moe_folder])
    assert "sail_vl2" in refusal([nano_folder, dense_folder])


@pytest.mark.parametrize(
    ("file", "change", "told"),
    [
        ("config.json", lambda config: config.update(rms_norm_eps=0.5), "rms_norm_eps is 1e-06 in the one and 0.5"),
        (
            "tokenizer.json",
            lambda tokenizer: tokenizer["model"]["vocab"].update({"zzz": 9999}),
            "model.vocab.zzz is not there in the one and 9999 in the other",
        ),
    ],
)
def test_what_a_model_computes_and_reads_must_be_the_same(
    family: Callable[..., Path], file: str, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    one, other = family("one"), family("other")
    edit(other / file, change)
    message = refusal([one, other])
    assert told in message
    assert file in message


def test_who_wrote_the_configuration_does_not_matter(family: Callable[..., Path]) -> None:
    one, other = family("one"), family("other", seed=2)
    edit(other / "config.json", lambda config: config.update(transformers_version="5.0", dtype="bfloat16"))
    assert Soup([one, other]).taste().doubts == []


def swap(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    weights = weights_of(folder)
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weights: weights.pop(NORM), f"one has the weight {NORM}, which"),
        (lambda weights: weights.update({NORM: torch.ones(5)}), f"the weight {NORM} is (64,) in"),
        (lambda weights: weights.update({NORM: torch.ones(64).int()}), f"the weight {NORM} is (64,) in"),
        (lambda weights: weights.update(odd=torch.ones(5)), "other has the weight odd, which"),
        (lambda weights: weights[NORM].fill_(float("nan")), f"the weight {NORM} of"),
    ],
)
def test_weights_that_do_not_go_together_are_named(
    family: Callable[..., Path], change: Callable[[dict[str, Tensor]], Any], told: str
) -> None:
    one, other = family("one"), family("other")
    swap(other, change)
    assert told in refusal([one, other])


def test_a_model_given_twice(family: Callable[..., Path]) -> None:
    one = family("one")
    assert "is given twice" in refusal([one, one / ".." / "one"])


def test_likeness_of_a_known_pair(family: Callable[..., Path], dense_folder: Path) -> None:
    """The other is the first twice as long: no angle, and one length of distance."""
    one, other = family("one", noise=0.0), family("other", noise=0.0)
    swap(other, lambda weights: [tensor.mul_(2) for tensor in weights.values()])
    pair = Soup([one, other]).taste().likeness[0]
    assert pair.cosine == pytest.approx(1)
    assert pair.distance == pytest.approx(1)
    assert pair.task_cosine is None


def test_task_vectors_of_a_known_pair(family: Callable[..., Path], dense_folder: Path) -> None:
    """(3, 0) and (3, 9) from the base: a cosine of 1 / sqrt(10), and sqrt(10) as far."""
    one, other = family("one", noise=0.0), family("other", noise=0.0)
    swap(one, lambda weights: weights[NORM][0].add_(3))
    swap(other, lambda weights: (weights[NORM][0].add_(3), weights[NORM][1].add_(9)))
    tasting = Soup([one, other], dense_folder).taste()
    pair = tasting.likeness[0]
    assert pair.task_cosine == pytest.approx(10**-0.5, abs=1e-6)
    assert pair.task_ratio == pytest.approx(10**0.5, abs=1e-5)
    assert any("3.2 times as far" in doubt for doubt in tasting.doubts)


def test_models_tuned_alike_raise_no_doubt(family: Callable[..., Path]) -> None:
    assert Soup([family("one"), family("other", seed=2)]).taste().doubts == []


@pytest.mark.parametrize(
    ("unlike", "told"),
    [
        ({"type": "rl"}, "come from different kinds of training (sft and rl)"),
        ({"role": "judge"}, "have different roles (policy and judge)"),
        ({"start": "/another"}, "were tuned from different weights"),
        ({"noise": 3.0}, "degrees apart"),
    ],
)
def test_heterogeneous_models_are_doubted(family: Callable[..., Path], unlike: dict[str, Any], told: str) -> None:
    doubts = Soup([family("one"), family("other", seed=2, **unlike)]).taste().doubts
    assert len(doubts) == 1
    assert doubts[0].startswith("one and other ")
    assert told in doubts[0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"models": 1}, "at least two models, found 1"),
        ({"weights": [1.0]}, "has 1 numbers, expected 2"),
        ({"weights": [1.0, -1.0]}, "has -1, expected numbers above 0"),
        ({"weights": [1.0, float("nan")]}, "has nan"),
        ({"weights": [1.0, 1.0], "method": "uniform"}, "leave --weights out"),
        ({"method": "weighted"}, "needs --weights"),
        ({"method": "greedy", "weights": [1.0, 1.0]}, "greedy gives every model the same weight"),
        ({"method": "ties"}, "--base"),
        ({"density": 0.5}, "--density is for the methods ties and dare"),
        ({"method": "ties", "has_base": True, "density": 1.5}, "--density is 1.5"),
        ({"method": "dare", "has_base": True, "scale": float("inf")}, "--scale is inf"),
        ({"method": "ties", "has_base": True, "seed": 1}, "--seed is for the method dare"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: dict[str, Any], told: str) -> None:
    nothing = {"models": 2, "method": None, "weights": None, "has_base": False}
    nothing |= {"density": None, "scale": None, "seed": None}
    with pytest.raises(ConfigError) as caught:
        planned(**(nothing | asked))  # pyright: ignore[reportArgumentType]
    assert told in str(caught.value)


@pytest.fixture
def soup(family: Callable[..., Path], tmp_path: Path) -> Path:
    cooked([family("one"), family("other", seed=2)], tmp_path / "soup")
    return tmp_path / "soup"


def test_the_parents_of_a_soup_are_found_where_they_lay(soup: Path, tmp_path: Path, dense_folder: Path) -> None:
    moved = shutil.copytree(soup, tmp_path / "elsewhere" / "soup")
    tree = trace(moved)
    assert [(parent.name, parent.part) for parent in tree.parents] == [
        ("one", "0.5 of the soup"),
        ("other", "0.5 of the soup"),
    ]
    assert [ancestor.folder for ancestor in tree.chain()] == [moved, tmp_path / "one", dense_folder]


def test_another_snapshot_under_a_parents_name_is_not_it(
    soup: Path, family: Callable[..., Path], tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "one")
    family("one", seed=9)
    tree = trace(soup)
    assert [parent.folder for parent in tree.parents] == [None, tmp_path / "other"]
    assert [parent.replaced for parent in tree.parents] == [tmp_path / "one", None]


def test_a_parent_that_was_trained_again_is_not_the_one_that_a_snapshot_was_tuned_from(
    family: Callable[..., Path], tmp_path: Path
) -> None:
    parent = family("parent")
    born = {"start": str(parent), "start_manifest": digest(parent)}
    one, other = family("one", **born), family("other", seed=2, **born)
    assert [ancestor.name for ancestor in trace(one).chain()][:2] == ["one", "parent"]
    shutil.rmtree(parent)
    family("parent", seed=9)
    (replaced,) = trace(one).parents
    assert (replaced.folder, replaced.replaced) == (None, parent)
    assert Soup([one, other]).taste().doubts == []  # both know that it was the same one
    again = family("again", seed=3, start=str(parent), start_manifest=digest(parent))
    assert "were tuned from different weights" in Soup([one, again]).taste().doubts[0]


def test_a_part_of_a_soup(family: Callable[..., Path], tmp_path: Path) -> None:
    models = [family("one"), family("two", seed=2), family("three", seed=3)]
    (tmp_path / "part").mkdir()
    (tmp_path / "pair").mkdir()
    pot = Soup(models)
    pot.only([2, 0]).write(tmp_path / "part", UNIFORM, version="part", told={"tried": 3})
    Soup([models[2], models[0]]).write(tmp_path / "pair", UNIFORM, version="pair")
    part, pair = weights_of(tmp_path / "part"), weights_of(tmp_path / "pair")
    assert all(torch.equal(part[key], pair[key]) for key in pair)
    told = read_manifest(tmp_path / "part").lineage
    assert ([parent["version"] for parent in told["parents"]], told["tried"]) == (["three", "one"], 3)
    assert len(pot.models) == 3


def test_a_snapshot_that_calls_itself_its_parent(family: Callable[..., Path], tmp_path: Path) -> None:
    folder = family("one", start=str(tmp_path / "one"))
    tree = trace(folder)
    assert [(parent.name, parent.folder) for parent in tree.parents] == [("one", None)]


def test_a_manifest_with_broken_parents(family: Callable[..., Path]) -> None:
    folder = family("one", parents=[{"version": "x"}])
    with pytest.raises(SnapshotError, match="has parents that cannot be read"):
        trace(folder)
