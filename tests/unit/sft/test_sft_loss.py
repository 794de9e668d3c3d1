"""Cross-entropy against torch's own, and its invariances."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import torch

from halyard.cluster.types import LossInputs
from sft.loss import cross_entropy
from sft.sequences import Conversation, to_sequences


def inputs(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> LossInputs:
    logprobs = logits.log_softmax(-1)
    chosen = logprobs.gather(-1, targets[:, None])[:, 0]
    return LossInputs(
        logprobs=chosen,
        entropy=-(logprobs.exp() * logprobs).sum(-1).detach(),
        old_logprobs=chosen.detach(),
        rollout_logprobs=None,
        reference_logprobs=None,
        advantages=None,
        weights=weights,
        segments=torch.zeros(len(targets), dtype=torch.long),
    )


def test_it_is_torchs_cross_entropy() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(7, 11, requires_grad=True), torch.randint(11, (7,))
    ours = cross_entropy(inputs(logits, targets, torch.full((7,), 1 / 7)))
    theirs = torch.nn.functional.cross_entropy(logits, targets)
    assert ours.loss.item() == pytest.approx(theirs.item(), abs=1e-6)
    torch.testing.assert_close(torch.autograd.grad(ours.loss, logits), torch.autograd.grad(theirs, logits))


def test_metrics_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.8, 0.2], [0.4, 0.6]], requires_grad=True))
    output = cross_entropy(inputs(logits, torch.tensor([0, 0]), torch.tensor([0.5, 0.5])))
    assert output.metrics["nll"].item() == pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2)
    assert output.metrics["confident"].item() == pytest.approx(0.5)
    binary = [-(p * math.log(p) + (1 - p) * math.log(1 - p)) for p in (0.8, 0.4)]
    assert output.metrics["entropy"].item() == pytest.approx(sum(binary) / 2)
    assert not any(metric.requires_grad for metric in output.metrics.values())


def test_however_a_step_is_cut_the_loss_is_the_same() -> None:
    torch.manual_seed(1)
    logits, targets = torch.randn(9, 5), torch.randint(5, (9,))
    weights = torch.full((9,), 1 / 9)
    whole = cross_entropy(inputs(logits, targets, weights)).loss
    for cut in (1, 4, 8):
        parts = [cross_entropy(inputs(logits[s], targets[s], weights[s])).loss for s in (slice(cut), slice(cut, None))]
        torch.testing.assert_close(sum(parts), whole)


def test_weights_are_one_over_the_learnt_tokens_of_the_step() -> None:
    masks = [[False, True, True], [False, False, True, True, True]]
    sequences = to_sequences(
        [Conversation(token_ids=np.arange(len(mask)), loss_mask=np.array(mask), pixel_values=None) for mask in masks]
    )
    assert [one.weights.tolist() for one in sequences] == [
        [0, pytest.approx(0.2), pytest.approx(0.2)],
        [0, 0, pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2)],
    ]


def test_it_can_be_sent_to_a_rank() -> None:
    assert pickle.loads(pickle.dumps(cross_entropy)) is cross_entropy
