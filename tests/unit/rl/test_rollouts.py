from __future__ import annotations

from dataclasses import replace

import pytest
from support.rl_fakes import FakeRenderer, World
from support.rl_stage import rows, session

from halyard.cluster.types import Completion, GenerationRequest
from halyard.data.mixture import Mixture
from halyard.data.sources import Dataset
from halyard.data.types import ImageRef, Message, Prompt
from halyard.errors import EngineError
from rl.prompts import PromptStream, draw
from rl.rollouts import PromptFailure, check_answered, render, to_rollout, to_sample

PROMPT = Prompt(id="q", messages=(Message(role="user", text="what is 5?"),), answer="5", task="math", family="sum")


def request_and_answer() -> tuple[GenerationRequest, Completion]:
    request = GenerationRequest(id="q@0", token_ids=(8, 9), seeds=(4,), max_tokens=4)
    answer = Completion(
        prompt_token_ids=(8, 9),
        token_ids=(2, 12, 3, 1),
        logprobs=(-0.1, -0.2, -0.3, -0.4),
        finish_reason="stop",
        spans=((0, 3, 6), (3, 4, 7)),
        seed=4,
    )
    return request, answer


def test_an_engine_that_ran_on_other_tokens_is_refused() -> None:
    request, answer = request_and_answer()
    check_answered(request, [answer])
    with pytest.raises(EngineError, match=r"q@0 on 3 prompt tokens that differ from the 2"):
        check_answered(request, [replace(answer, prompt_token_ids=(8, 8, 9))])
    with pytest.raises(EngineError, match="other seeds"):
        check_answered(request, [])


def test_a_rollout_keeps_the_engines_tokens_and_versions() -> None:
    _, answer = request_and_answer()
    rollout = to_rollout(PROMPT, 2, answer, FakeRenderer())  # type: ignore[arg-type]
    assert (rollout.response_token_ids, rollout.rollout_logprobs) == (answer.token_ids, answer.logprobs)
    assert (rollout.oldest_version, rollout.newest_version, rollout.index, rollout.seed) == (6, 7, 2, 4)
    sample = to_sample(PROMPT, rollout)
    assert (sample.reasoning, sample.reference, sample.family, sample.response_tokens) == ("a", "5", "sum", 4)


def test_an_image_that_cannot_be_opened_is_the_prompts_own_failure(tmp_path) -> None:
    image = ImageRef(path=str(tmp_path / "none.png"))
    prompt = replace(PROMPT, messages=(Message(role="user", text="?", images=(image,)),))
    with pytest.raises(PromptFailure, match=r"none\.png"):
        render(prompt, session=session(tmp_path, World()), max_tokens=4)


def test_the_stream_is_a_function_of_its_seed_and_position() -> None:
    def stream(seed: int = 3, share: float = 0.5) -> PromptStream:
        dataset = Dataset(sources=(rows(),), weights=(1.0,))
        return PromptStream(Mixture(dataset, seed=1), seed=seed, direct_share=share)

    first = stream()
    drawn = [first.next(0) for _ in range(60)]
    assert [one.occurrence for one in drawn] == list(range(60))
    assert first.again(17, 0) == drawn[17]
    assert first.position == 60
    later = stream()
    later.seek(30)
    assert [later.next(0) for _ in range(30)] == drawn[30:]
    direct = [not one.prompt.thinking for one in drawn]
    assert 15 < sum(direct) < 45
    assert all(stream(share=0.0).next(0).prompt.thinking for _ in range(10))
    assert not any(stream(share=1.0).next(0).prompt.thinking for _ in range(10))


def test_seeds_differ_by_run_prompt_and_index_and_by_nothing_else() -> None:
    seeds = {
        draw(run, "answer", occurrence, index) for run in range(5) for occurrence in range(50) for index in range(8)
    }
    assert len(seeds) == 5 * 50 * 8
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert draw(3, "answer", 17, 2) == draw(3, "answer", 17, 2)
