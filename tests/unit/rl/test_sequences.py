"""From groups to sequences, by hand: masks, advantages, and weights with one denominator a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from configs.algorithm import AlgorithmConfig
from halyard.data.types import Group, Message, Prompt, Rollout, Verdict, VersionSpan
from model.render import Rendered
from rl.presets import Algorithm, resolve
from rl.sequences import mini_batches, to_sequences, without_signal
from rl.types import Admitted, Scored


def algorithm(**fields: Any) -> Algorithm:
    return resolve(AlgorithmConfig.model_validate({"advantage": "group_mean", **fields}))


def scored(lengths: list[int], rewards: list[float | None], cut: tuple[int, ...] = ()) -> Scored:
    """A group with a prompt of two tokens and answers of these lengths; `cut` ones ended at the limit."""
    prompt = Prompt(id="q", messages=(Message(role="user", text="?"),), answer="1", task="math")
    rollouts = tuple(
        Rollout(
            prompt_id="q",
            index=index,
            prompt_token_ids=(8, 9),
            response_token_ids=tuple(range(10, 10 + length)),
            rollout_logprobs=(-0.5,) * length,
            text="",
            finish_reason="length" if index in cut else "stop",
            spans=(VersionSpan(start=0, stop=length, policy_version=0),),
            seed=index,
        )
        for index, length in enumerate(lengths)
    )
    verdicts = tuple(
        Verdict(reward=reward) if reward is not None else Verdict(reward=None, status="failed") for reward in rewards
    )
    ids = np.array([8, 9])
    pixels = np.zeros((1, 3, 2, 2), np.float32)
    return Scored(
        admitted=Admitted(occurrence=0, prompt=prompt, version=0),
        rendered=Rendered(
            token_ids=ids, loss_mask=ids < 0, pixel_values=pixels, images=(), image_grids=np.array([[1, 1]])
        ),
        group=Group(prompt=prompt, rollouts=rollouts, verdicts=verdicts),
    )


def test_a_sequence_is_what_the_engine_saw_with_the_response_learnt() -> None:
    group = scored([3, 1], [1.0, 0.0])
    first, second = to_sequences([group], algorithm(aggregation="token_mean"))
    assert first.token_ids.tolist() == [8, 9, 10, 11, 12]
    assert first.loss_mask.tolist() == [False, False, True, True, True]
    assert first.weights.tolist() == [0, 0, 0.25, 0.25, 0.25]
    assert first.advantages is not None
    assert first.advantages.tolist() == [0, 0, 0.5, 0.5, 0.5]
    assert first.rollout_logprobs is not None
    assert first.rollout_logprobs.tolist() == [0, 0, -0.5, -0.5, -0.5]
    assert first.old_logprobs is None
    assert second.weights.tolist() == [0, 0, 0.25]
    assert second.advantages is not None
    assert second.advantages.tolist() == [0, 0, -0.5]
    assert first.pixel_values is second.pixel_values is group.rendered.pixel_values  # one copy for the group
    assert first.image_grids is second.image_grids is group.rendered.image_grids


def test_every_sequence_counts_alike_under_sequence_mean() -> None:
    first, second = to_sequences([scored([4, 1], [1.0, 0.0])], algorithm(aggregation="sequence_mean"))
    assert first.weights.tolist() == [0, 0, 0.125, 0.125, 0.125, 0.125]
    assert second.weights.tolist() == [0, 0, 0.5]


@pytest.mark.parametrize("aggregation", ["token_mean", "sequence_mean"])
def test_weights_add_up_to_one_over_each_optimiser_step(aggregation: str) -> None:
    groups = [scored([2, 5, 3], [1.0, 0.0, 0.0]), scored([7, 1, 1], [0.0, 1.0, 1.0]), scored([4, 4, 4], [1.0, 0, 0])]
    batches = mini_batches(groups, algorithm(aggregation=aggregation, updates_per_step=2))
    assert [len(batch) for batch in batches] == [3, 6]
    for batch in batches:
        assert sum(float(one.weights.sum()) for one in batch) == pytest.approx(1)


def test_cut_answers_leave_the_loss_but_not_the_mean() -> None:
    masked = to_sequences([scored([2, 2, 2], [1.0, 0.0, 0.5], cut=(1,))], algorithm(overlong="mask"))
    advantages = [one.advantages[-1] for one in masked if one.advantages is not None]
    assert advantages == [0.5, 0.0]  # minus the mean of all three
    assert masked[0].weights.tolist() == [0, 0, 0.25, 0.25]  # over the four tokens that are left
    assert len(to_sequences([scored([2, 2, 2], [1.0, 0.0, 0.5], cut=(1,))], algorithm(overlong="keep"))) == 3


def test_answers_that_were_not_judged_leave_both() -> None:
    sequences = to_sequences([scored([1, 1, 1], [1.0, None, 0.0])], algorithm())
    assert [one.advantages[-1] for one in sequences if one.advantages is not None] == [0.5, -0.5]


def test_groups_without_signal() -> None:
    dapo, grpo = algorithm(preset="dapo"), algorithm(preset="grpo")
    equal = scored([1, 1, 1], [0.5, 0.5, None]).group
    assert without_signal(equal, dapo) == "no signal: every reward is 0.5"
    assert without_signal(equal, grpo) is None
    assert without_signal(scored([1, 1], [1.0, 0.0]).group, dapo) is None
    all_cut = scored([1, 1], [1.0, 0.0], cut=(0, 1)).group
    assert without_signal(all_cut, dapo) == "every judged answer was cut at the token limit"
    assert without_signal(all_cut, grpo) is None
