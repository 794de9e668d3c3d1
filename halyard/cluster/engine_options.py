"""What vLLM is started with: a pure function of the recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from configs.cluster import ClusterConfig, EngineConfig
from halyard.cluster.heads import dealings, in_words
from halyard.cluster.transfer import BACKENDS, choose
from halyard.errors import PlacementError, SnapshotError
from model.vllm_plugin import by_family, by_transformers

_BLOCK = 32
"""Tokens of a block of the key-value cache: prompts share whole blocks, so small ones share more."""

STRUCTURED: Mapping[str, Any] = {"backend": "guidance", "disable_any_whitespace": True}
"""How vLLM holds answers to a form. Free to put white space anywhere, a small policy may write nothing else to the
end of its tokens."""
_NOT_ARCHITECTURE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype")
_FILES = ("tokenizer.json", "preprocessor_config.json", "processor_config.json", "chat_template.jinja")


def arguments(config: ClusterConfig) -> dict[str, Any]:
    """Arguments of vLLM's `AsyncEngineArgs`, the model's folder apart."""
    engine = config.engine
    return {
        "dtype": engine.dtype,
        "seed": 0,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        "enable_prefix_caching": True,
        "tensor_parallel_size": engine.tensor_parallel,
        "distributed_executor_backend": "mp" if engine.tensor_parallel > 1 else "uni",
        # Log-probs of the distribution that tokens are drawn from: after temperature and top_p.
        "logprobs_mode": "processed_logprobs",
        # No sampling settings but the request's own.
        "generation_config": "vllm",
        "disable_log_stats": True,
        # Each prompt is processed once and used for all its samples; a second cache could only go stale.
        "mm_processor_cache_gb": 0,
        "weight_transfer_config": {"backend": BACKENDS[choose(config)]},
        "worker_extension_cls": "halyard.cluster.transfer_engine.WorkerExtension",
        "hf_overrides": by_transformers if engine.model_path == "transformers" else by_family,
        **(_on_gpu(engine) if engine.gpus else _on_cpu(engine)),
    }


def environment(config: ClusterConfig) -> dict[str, str]:
    """Environment variables of the engine's processes."""
    common = {"VLLM_PLUGINS": "halyard,halyard_cluster", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if config.engine.gpus:
        # IPC handles are Python objects on their way to vLLM's own processes.
        return common | {"VLLM_ALLOW_INSECURE_SERIALIZATION": "1"}
    return common | {
        # With this at 1, vLLM on CPUs insists on a worker process beside the engine core: a third slower.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        # Compiling one small function for the ranks of log-probs takes 10 s and saves nothing.
        "TORCH_COMPILE_DISABLE": "1",
    }


def architecture(path: Path) -> Mapping[str, Any]:
    """What two model folders must have in common for an engine to change only its weights.

    Raises:
        SnapshotError: the folder has no readable config.json.
    """
    shape = {key: value for key, value in _config(path).items() if key not in _NOT_ARCHITECTURE}
    return shape | {name: (path / name).read_bytes() for name in _FILES if (path / name).exists()}


def check_spread(path: Path, engine: EngineConfig) -> None:
    """Let a policy pass that can be spread over the processes of an engine.

    Raises:
        PlacementError: its attention heads cannot be dealt out evenly.
        SnapshotError: the folder has no readable config.json.
    """
    config = _config(path)
    decoder = config.get("text_config", config)
    queries = decoder.get("num_attention_heads", engine.tensor_parallel)
    keys = decoder.get("num_key_value_heads") or queries
    sizes = dealings(queries, keys)
    if engine.tensor_parallel not in sizes:
        raise PlacementError(
            f"cluster.engine.tensor_parallel is {engine.tensor_parallel}, but the policy in {path} has {queries} "
            f"attention heads and {keys} key-value heads, which are dealt out evenly: expected {in_words(sizes)}."
        )


def _config(path: Path) -> dict[str, Any]:
    try:
        return json.loads((path / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path} is not a model folder: its config.json cannot be read ({error})") from None


def _on_cpu(engine: EngineConfig) -> dict[str, Any]:
    return {
        "enforce_eager": True,
        "scheduler_cls": "halyard.cluster.engine_scheduler.EngineScheduler",
        "block_size": _BLOCK,
        # vLLM means that of each process.
        "kv_cache_memory_bytes": int(engine.kv_cache_gib * 2**30 / engine.tensor_parallel),
        # On CPUs, prompts in pieces together with seeds of their own crash vLLM 0.32. A whole prompt must
        # then fit a step, and so must a request that goes on after an update of the weights.
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(8192, engine.max_model_len, engine.max_num_seqs),
    }


def _on_gpu(engine: EngineConfig) -> dict[str, Any]:
    return {
        "scheduler_cls": "halyard.cluster.engine_scheduler.AsyncEngineScheduler",
        "gpu_memory_utilization": engine.gpu_memory_utilization,
    }
