from __future__ import annotations

import json
from typing import Literal

import pytest
from transformers import AutoConfig, InternVLConfig, PreTrainedConfig, Qwen3Config, Qwen3MoeConfig

from configs.cluster import ClusterConfig, EngineConfig, LearnerConfig
from halyard.cluster import engine_options
from halyard.errors import PlacementError, SnapshotError
from model.families import SEEING
from model.sail_vl2 import SailVl2Config


def test_a_step_on_a_cpu_holds_the_longest_request_and_every_sequence():
    config = ClusterConfig(engine=EngineConfig(max_model_len=32768, max_num_seqs=300))
    assert engine_options.arguments(config)["max_num_batched_tokens"] == 32768


@pytest.mark.parametrize(("processes", "size"), [(1, 2**28), (2, 2**27)])
def test_memory_for_keys_and_values_is_that_of_all_processes_of_an_engine(processes: int, size: int):
    config = ClusterConfig(engine=EngineConfig(kv_cache_gib=0.25, cpus=2, tensor_parallel=processes))
    assert engine_options.arguments(config)["kv_cache_memory_bytes"] == size


def test_a_gpu_gets_none_of_the_settings_for_cpus():
    config = ClusterConfig(
        engine=EngineConfig(gpus=2, tensor_parallel=2), learner=LearnerConfig(gpus=1), placement="side_by_side"
    )
    arguments = engine_options.arguments(config)
    assert "enforce_eager" not in arguments
    assert arguments["distributed_executor_backend"] == "mp"
    assert arguments["weight_transfer_config"] == {"backend": "halyard_nccl"}


@pytest.mark.parametrize(
    ("policy", "architecture"),
    [
        (Qwen3Config(), "TransformersForCausalLM"),
        (Qwen3MoeConfig(), "TransformersMoEForCausalLM"),
        (SailVl2Config(), "SailVl2TransformersForCausalLM"),
    ],
)
def test_the_transformers_backend_is_asked_for_by_the_name_of_its_class(policy: PreTrainedConfig, architecture: str):
    reference = engine_options.arguments(ClusterConfig(engine=EngineConfig(model_path="transformers")))
    assert reference["hf_overrides"](policy).architectures == [architecture]


def test_a_sail_vl2_of_experts_has_no_reference():
    reference = engine_options.arguments(ClusterConfig(engine=EngineConfig(model_path="transformers")))
    with pytest.raises(ValueError, match="runs on vLLM's own layers alone: expected native"):
        reference["hf_overrides"](SailVl2Config(text_config=Qwen3MoeConfig()))


def write_model(path, **config):
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "qwen3", "hidden_size": 8} | config))
    (path / "tokenizer.json").write_text("{}")
    return path


def test_models_that_differ_in_their_origin_only_have_one_architecture(tmp_path):
    one = write_model(tmp_path / "one", _name_or_path="one", transformers_version="5.16.1")
    two = write_model(tmp_path / "two", _name_or_path="two", transformers_version="5.18.0")
    assert engine_options.architecture(one) == engine_options.architecture(two)


@pytest.mark.parametrize("difference", ["config", "tokenizer"])
def test_another_shape_or_tokenizer_is_another_architecture(tmp_path, difference):
    one = write_model(tmp_path / "one")
    two = write_model(tmp_path / "two", **({"hidden_size": 16} if difference == "config" else {}))
    if difference == "tokenizer":
        (two / "tokenizer.json").write_text('{"version": 2}')
    assert engine_options.architecture(one) != engine_options.architecture(two)


@pytest.mark.parametrize("where", ["text", "seeing"])
def test_heads_are_dealt_out_evenly_or_refused(tmp_path, where):
    heads = {"num_attention_heads": 6}
    path = write_model(tmp_path / "policy", **({"text_config": heads} if where == "seeing" else heads))
    for processes in (1, 2, 3):
        engine_options.check_spread(path, EngineConfig(cpus=4, tensor_parallel=processes))
    with pytest.raises(PlacementError, match=r"is 4, but the policy in .*policy has 6 attention heads"):
        engine_options.check_spread(path, EngineConfig(cpus=4, tensor_parallel=4))


def test_key_value_heads_are_dealt_out_evenly_or_refused(tmp_path):
    """vLLM asserts that there are as many for each process, or as many processes for each."""
    path = write_model(tmp_path / "policy", num_attention_heads=6, num_key_value_heads=2)
    for processes in (1, 2, 6):
        engine_options.check_spread(path, EngineConfig(cpus=6, tensor_parallel=processes))
    with pytest.raises(PlacementError, match=r"6 attention heads and 2 key-value heads, .* expected 1, 2 or 6\."):
        engine_options.check_spread(path, EngineConfig(cpus=6, tensor_parallel=3))


def test_a_folder_without_a_model_is_refused_by_name(tmp_path):
    with pytest.raises(SnapshotError, match=f"{tmp_path} is not a model folder"):
        engine_options.architecture(tmp_path)


@pytest.mark.parametrize("path", ["native", "transformers"])
@pytest.mark.parametrize("kind", sorted(SEEING))
def test_the_other_families_have_one_way_to_be_run(kind: str, path: Literal["native", "transformers"]):
    override = engine_options.arguments(ClusterConfig(engine=EngineConfig(model_path=path)))["hf_overrides"]
    assert override(AutoConfig.for_model(kind)).architectures == ["SeeingForCausalLM"]


def test_experts_of_another_family_are_vllms():
    override = engine_options.arguments(ClusterConfig())["hf_overrides"]
    policy = InternVLConfig(text_config={"model_type": "qwen3_moe"})
    assert override(policy).architectures == ["SeeingMoEForCausalLM"]
    assert override(SailVl2Config(architectures=["Own"])).architectures == ["Own"]
