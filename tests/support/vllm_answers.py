"""Answers of vLLM engines to prompts of token ids, in a process of its own: `python vllm_answers.py IN OUT`.

IN is a pickle of [job, ...], a job being a mapping:

- `folder`, `prompts` [(token ids, images), ...], and `path`: the engine's `model_path`;
- `ranks`, if there are several: processes that the policy is spread over;
- `adapter`, if there is one: the folder of a LoRA adapter, with which all prompts are answered once more;
- `update`, if there is one: a safetensors file whose weights the engine is given, the way a run gives them, before all
  prompts are answered once more.

OUT becomes a pickle of [made, ...], a mapping of lists of answers, `first`, `adapted` and `updated`, and of `checksums`
of the tensors that each rank received. An answer is the prompt's ids as the engine saw them, the sampled ids and their
log-probabilities.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

from configs.cluster import ClusterConfig, EngineConfig
from halyard.cluster import engine_options

Prompts = list[tuple[list[int], list[Any]]]


def work(job: dict[str, Any]) -> dict[str, Any]:
    """What one engine makes of a job."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory
    from vllm.lora.request import LoRARequest

    ranks = job.get("ranks", 1)
    engine = EngineConfig(max_model_len=512, max_num_seqs=16, model_path=job["path"], tensor_parallel=ranks)
    config = ClusterConfig(engine=engine)
    # The cache of processed images is off in runs, and on in services of one's own: here it is tried.
    options: dict[str, Any] = engine_options.arguments(config) | {"mm_processor_cache_gb": 1}
    if "adapter" in job:
        options |= {"enable_lora": True, "max_lora_rank": 8, "enable_tower_connector_lora": True}
    llm = LLM(job["folder"], **options)
    made: dict[str, Any] = {"first": answers(llm, job["prompts"])}
    if "adapter" in job:
        made["adapted"] = answers(llm, job["prompts"], lora_request=LoRARequest("adapter", 1, job["adapter"]))
    if "update" in job:
        llm.collective_rpc("record_checksums", args=(True,))
        llm.collective_rpc("start_weight_update")
        llm.collective_rpc("update_weights", args=({"paths": [job["update"]]},))
        llm.collective_rpc("finish_weight_update")
        llm.reset_prefix_cache()
        llm.llm_engine.reset_encoder_cache()
        made["checksums"] = [checksums for *_, checksums in llm.collective_rpc("received_weights")]
        made["updated"] = answers(llm, job["prompts"])
    del llm
    cleanup_dist_env_and_memory()
    return made


def answers(llm: Any, prompts: Prompts, **arguments: Any) -> list[dict[str, Any]]:
    """Forty tokens for each prompt, sampled with seeds of their own."""
    from vllm import SamplingParams

    from model.vllm_plugin import to_vllm_prompt

    params = [SamplingParams(max_tokens=40, logprobs=0, seed=seed, ignore_eos=True) for seed in range(len(prompts))]
    outputs = llm.generate([to_vllm_prompt(*prompt) for prompt in prompts], params, use_tqdm=False, **arguments)
    return [
        {
            "prompt": list(output.prompt_token_ids),
            "ids": list(output.outputs[0].token_ids),
            "logprobs": [
                by_token[token].logprob
                for token, by_token in zip(output.outputs[0].token_ids, output.outputs[0].logprobs, strict=True)
            ],
        }
        for output in outputs
    ]


if __name__ == "__main__":
    os.environ |= engine_options.environment(ClusterConfig()) | {
        "VLLM_LOGGING_LEVEL": "WARNING",
        "OMP_NUM_THREADS": "1",
    }
    source, target = map(Path, sys.argv[1:])
    target.write_bytes(pickle.dumps([work(job) for job in pickle.loads(source.read_bytes())]))
