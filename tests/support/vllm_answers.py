"""Answers of a vLLM engine to prompts of token ids, in a process of its own: `python vllm_answers.py IN OUT`.

IN is a pickle of [(model folder, [(token ids, images), ...]), ...]; OUT becomes a pickle of [[answer, ...], ...], an
answer being the prompt's ids as the engine saw them, the sampled ids and their log-probabilities.
"""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path
from typing import Any

os.environ |= {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
}


def answers(folder: str, prompts: list[tuple[list[int], list[Any]]]) -> list[dict[str, Any]]:
    from vllm import LLM, SamplingParams
    from vllm.distributed import cleanup_dist_env_and_memory

    from model.vllm_plugin import to_vllm_prompt

    llm = LLM(
        folder,
        dtype="float32",
        enforce_eager=True,
        max_model_len=512,
        max_num_seqs=16,
        enable_chunked_prefill=False,  # on a CPU it crashes together with per-request seeds
        distributed_executor_backend="uni",
        logprobs_mode="processed_logprobs",
    )
    params = [SamplingParams(max_tokens=40, logprobs=0, seed=seed, ignore_eos=True) for seed in range(len(prompts))]
    outputs = llm.generate([to_vllm_prompt(*prompt) for prompt in prompts], params, use_tqdm=False)
    del llm
    cleanup_dist_env_and_memory()
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
    source, target = map(Path, sys.argv[1:])
    jobs = pickle.loads(source.read_bytes())
    target.write_bytes(pickle.dumps([answers(folder, prompts) for folder, prompts in jobs]))
