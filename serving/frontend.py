"""vLLM's own OpenAI classes over one engine: built in the thread that owns the engine's processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vllm.config import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.entrypoints.openai.models.protocol import BaseModelPath
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.renderers.online_renderer import OnlineRenderer

from configs.serving import ServingConfig
from halyard.cluster import engine_options
from model.load import load_processor
from serving import reasoning
from serving.adapters import Adapters
from serving.answers import Chat, Completion
from serving.engine import Frontend, cluster_config, longest
from serving.llm import WatchedLLM


def build_frontend(path: Path, config: ServingConfig, index: int, adapting: Mapping[str, Any]) -> Frontend:
    """A vLLM on the policy in a folder, with what answers requests over it; takes 10 to 30 seconds.

    `adapting` is what it is started with to take adapters (`serving.adapters.options`), nothing where it takes none.
    """
    renderer = load_processor(path)
    os.environ |= _devices(config, index)
    arguments = engine_options.arguments(cluster_config(config)) | {
        # Pickled weights could run code.
        "load_format": "safetensors",
        "max_model_len": min(config.engine.max_model_len, longest(path)),
        "reasoning_parser": reasoning.PARSER,
        "reasoning_parser_plugin": reasoning.__name__,
        "structured_outputs_config": StructuredOutputsConfig(**engine_options.STRUCTURED),
    }
    llm: Any = WatchedLLM.from_engine_args(AsyncEngineArgs(model=str(path), **arguments, **adapting))
    # Its one name is set to RUN@VERSION whenever the engine takes a snapshot: vLLM answers with the first name.
    models = OpenAIServingModels(llm, [BaseModelPath(name="", model_path=str(path))])
    online = OnlineRenderer(
        llm.model_config,
        llm.renderer,
        request_logger=None,
        chat_template=None,
        chat_template_content_format="auto",
        reasoning_parser=reasoning.PARSER,
    )
    chat = Chat(
        llm,
        models,
        "assistant",
        online_renderer=online,
        request_logger=None,
        chat_template=None,
        chat_template_content_format="auto",
        reasoning_parser=reasoning.PARSER,
    )
    chat.policy_renderer = renderer
    completion = Completion(llm, models, online_renderer=online, request_logger=None)
    return Frontend(llm=llm, chat=chat, completion=completion, adapters=Adapters(llm, config) if adapting else None)


def _devices(config: ServingConfig, index: int) -> dict[str, str]:
    """The GPUs of an engine, counted through those that this process may use; nothing on a CPU."""
    if not config.engine.gpus:
        return {}
    count = config.engine.tensor_parallel
    visible = os.environ.setdefault("HALYARD_VISIBLE_GPUS", os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    devices = visible.split(",") if visible else [str(number) for number in range((index + 1) * count)]
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices[index * count : (index + 1) * count])}
