"""The loss against hand calculations, and its gradient against cutting the step into micro-batches."""

from __future__ import annotations

import pickle
from dataclasses import replace
from math import exp, log

import pytest
import torch

from configs.algorithm import AlgorithmConfig, Preset
from halyard.cluster.types import LossInputs
from rl.losses import PolicyLoss, k1, k3, sequence_mean
from rl.presets import resolve


def loss_of(preset: Preset, **fields: object) -> PolicyLoss:
    return PolicyLoss.of(resolve(AlgorithmConfig.model_validate({"preset": preset, **fields})))


def inputs(**fields: list[float] | list[int]) -> LossInputs:
    logprobs = torch.tensor(fields.pop("logprobs"), dtype=torch.float64, requires_grad=True)
    tensors = {name: torch.tensor(value) for name, value in fields.items()}
    tensors = {name: value if name == "segments" else value.double() for name, value in tensors.items()}
    defaults = {"rollout_logprobs": None, "reference_logprobs": None, "old_logprobs": logprobs.detach()}
    rest = {"entropy": torch.zeros_like(logprobs), "segments": torch.zeros(len(logprobs), dtype=torch.int64)}
    return LossInputs(**{**defaults, **rest, "logprobs": logprobs, **tensors})


def test_token_ratios_clip_on_the_side_that_the_advantage_pushes_to() -> None:
    ratios = [1.5, 1.5, 0.5, 0.5, 1.1]
    advantages = [1.0, -1.0, 1.0, -1.0, 2.0]
    batch = inputs(logprobs=[log(r) for r in ratios], old_logprobs=[0.0] * 5, advantages=advantages, weights=[0.2] * 5)
    output = loss_of("dapo")(batch)
    # min(r A, clip(r, 0.8, 1.28) A): 1.28, -1.5, 0.5, -0.8, 2.2
    assert output.loss.item() == pytest.approx(-0.2 * (1.28 - 1.5 + 0.5 - 0.8 + 2.2))
    output.loss.backward()
    # d/dlogp of -w r A where it is not clipped, 0 where it is
    assert batch.logprobs.grad is not None
    assert batch.logprobs.grad.tolist() == pytest.approx([0, 0.2 * 1.5, -0.2 * 0.5, 0, -0.2 * 1.1 * 2])
    assert output.metrics["clipped_high"].item() == pytest.approx(0.2)
    assert output.metrics["clipped_low"].item() == pytest.approx(0.2)
    assert output.metrics["ratio"].item() == pytest.approx(0.2 * sum(ratios))
    assert output.metrics["ratio_deviation"].item() == pytest.approx(0.2 * (0.5 + 0.5 + 0.5 + 0.5 + 0.1))


def test_grpo_adds_its_penalty_to_the_reference() -> None:
    batch = inputs(logprobs=[-1.0, -2.0], reference_logprobs=[-1.5, -2.0], advantages=[1.0, 1.0], weights=[0.5, 0.5])
    output = loss_of("grpo")(batch)
    divergence = exp(-0.5) + 0.5 - 1  # eq. 4: pi_ref / pi - log(pi_ref / pi) - 1
    assert output.metrics["reference_kl"].item() == pytest.approx(0.5 * divergence)
    assert output.loss.item() == pytest.approx(-1 + 0.04 * 0.5 * divergence)
    output.loss.backward()
    assert batch.logprobs.grad is not None
    assert batch.logprobs.grad.tolist() == pytest.approx([-0.5 + 0.04 * 0.5 * (1 - exp(-0.5)), -0.5])


def test_gspo_takes_one_ratio_for_a_sequence() -> None:
    # sequence 0: log-ratios 0.0002 and 0.0006, mean 0.0004; sequence 1: one token at -0.0001
    batch = inputs(
        logprobs=[0.0002, 0.0006, -0.0001],
        old_logprobs=[0.0, 0.0, 0.0],
        advantages=[2.0, 2.0, -1.0],
        weights=[0.25, 0.25, 0.5],  # 1 / (2 sequences · length)
        segments=[0, 0, 1],
    )
    loss = loss_of("gspo")
    output = loss(batch)
    assert output.metrics["clipped_high"].item() == pytest.approx(0.5)  # exp(0.0004) > 1.0004, by 8e-8
    assert output.loss.item() == pytest.approx(-(0.5 * 2 * 1.0004 - 0.5 * exp(-0.0001)))
    unclipped = replace(loss, clip_high=0.1)
    fresh = replace(batch, logprobs=batch.logprobs.detach().requires_grad_())
    unclipped(fresh).loss.backward()
    assert fresh.logprobs.grad is not None
    # eq. 10: every token of a sequence gets s A / (sequences · length)
    expected = [-exp(0.0004) * 2 / 4, -exp(0.0004) * 2 / 4, exp(-0.0001) / 2]
    assert fresh.logprobs.grad.tolist() == pytest.approx(expected)


def test_truncated_correction_weighs_by_learner_over_engine_and_is_cut() -> None:
    batch = inputs(
        logprobs=[0.0, 0.0], rollout_logprobs=[log(0.8), log(0.1)], advantages=[1.0, 1.0], weights=[0.5, 0.5]
    )
    output = loss_of("dapo", correction="truncated")(batch)
    assert output.loss.item() == pytest.approx(-0.5 * (1.25 + 2.0))
    assert output.metrics["correction"].item() == pytest.approx(0.5 * (1.25 + 2.0))
    assert loss_of("dapo")(batch).loss.item() == pytest.approx(-1.0)


def test_drift_is_measured_whatever_the_algorithm() -> None:
    batch = inputs(logprobs=[-1.0, -2.0], rollout_logprobs=[-1.1, -1.8], advantages=[1.0, -1.0], weights=[0.5, 0.5])
    metrics = loss_of("gspo")(batch).metrics
    assert metrics["drift"].item() == pytest.approx(0.15)
    assert metrics["drift_k1"].item() == pytest.approx(0.5 * (-0.1 + 0.2))
    assert metrics["drift_k3"].item() == pytest.approx(0.5 * (exp(0.1) - 1 - 0.1 + exp(-0.2) - 1 + 0.2))


def test_k1_and_k3_estimate_the_divergence() -> None:
    policy, other = torch.tensor([0.7, 0.2, 0.1]).log(), torch.tensor([0.5, 0.3, 0.2]).log()
    exact = (policy.exp() * (policy - other)).sum().item()
    for estimate in (k1, k3):
        assert (policy.exp() * estimate(policy, other)).sum().item() == pytest.approx(exact, rel=1e-5)
    assert (k3(policy, other) >= 0).all()


def test_means_of_sequences_reach_all_their_tokens() -> None:
    values = torch.tensor([1.0, 3.0, 5.0, 2.0, 4.0, 6.0])
    assert sequence_mean(values, torch.tensor([0, 0, 1, 2, 2, 2])).tolist() == [2, 2, 5, 4, 4, 4]


@pytest.mark.parametrize("preset", ["grpo", "dapo", "gspo"])
def test_the_gradient_does_not_depend_on_how_the_step_is_cut(preset: Preset) -> None:
    """Whole, and as three micro-batches: the same loss, the same metrics, the same gradient."""
    generator = torch.Generator().manual_seed(0)
    segments = torch.tensor([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])

    def random(scale: float = 0.1) -> torch.Tensor:
        return torch.randn(10, generator=generator, dtype=torch.float64) * scale

    whole = LossInputs(
        logprobs=random().requires_grad_(),
        entropy=random(),
        old_logprobs=random(),
        rollout_logprobs=random(),
        reference_logprobs=random(),
        advantages=random(1),
        weights=random(1).abs(),
        segments=segments,
    )
    loss = loss_of(preset)
    expected = loss(whole)
    expected.loss.backward()
    assert whole.logprobs.grad is not None
    gradient = whole.logprobs.grad.clone()
    whole.logprobs.grad = None
    total, metrics = 0.0, dict.fromkeys(expected.metrics, 0.0)
    for sequences in ([0, 2], [1], [3]):
        chosen = torch.isin(segments, torch.tensor(sequences))
        part = {name: getattr(whole, name)[chosen] for name in LossInputs.__slots__}
        part["segments"] = torch.unique(part["segments"], return_inverse=True)[1]
        output = loss(LossInputs(**part))
        output.loss.backward()
        total += output.loss.item()
        metrics = {name: metrics[name] + value.item() for name, value in output.metrics.items()}
    assert total == pytest.approx(expected.loss.item())
    assert metrics == pytest.approx({name: value.item() for name, value in expected.metrics.items()})
    torch.testing.assert_close(whole.logprobs.grad, gradient)


def test_the_loss_travels_to_other_processes_and_says_what_it_lacks() -> None:
    loss = loss_of("grpo")
    assert pickle.loads(pickle.dumps(loss)) == loss
    batch = inputs(logprobs=[0.0], advantages=[1.0], weights=[1.0])
    with pytest.raises(ValueError, match="reference_logprobs"):
        loss(batch)
