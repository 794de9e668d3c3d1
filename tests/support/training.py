"""Sequences to learn, and what plain PyTorch makes of them: one sequence after the other, no DeepSpeed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from configs.training import OptimizerConfig
from halyard.cluster.types import LossInputs, LossOutput, TrainSequence
from model.load import load_policy

IMAGE_TOKENS = 16


def sequences(path: Path, count: int, *, images: Sequence[bool], seed: int, learnt: int = 12) -> list[TrainSequence]:
    """Random sequences of 20 to 60 tokens; the last `learnt` of each are learnt, with weights that add up to 1.

    `images[i % len(images)]` says whether sequence i has an image.
    """
    config = load_policy(path, dtype=torch.float32).config
    image_token = getattr(config, "image_token_id", None)
    vocabulary = config.get_text_config().vocab_size
    random = np.random.default_rng(seed)
    made = []
    for index in range(count):
        ids = random.integers(10, vocabulary, random.integers(20, 60))
        if image_token is not None:
            ids[ids == image_token] = 11
        pixels = None
        if images[index % len(images)]:
            ids = np.concatenate([ids[:2], np.full(IMAGE_TOKENS, image_token), ids[2:]])
            pixels = random.normal(size=(1, 3, 112, 112)).astype(np.float32)
        mask = np.arange(len(ids)) >= len(ids) - learnt
        made.append(TrainSequence(token_ids=ids, loss_mask=mask, weights=mask / (count * learnt), pixel_values=pixels))
    return made


def likelihood(inputs: LossInputs) -> LossOutput:
    """Negative log-likelihood plus a little entropy, so that both are seen."""
    loss = -(inputs.weights * inputs.logprobs).sum()
    return LossOutput(loss=loss, metrics={"entropy": (inputs.weights * inputs.entropy).sum()})


def slow_likelihood(inputs: LossInputs) -> LossOutput:
    """The same, with time enough to be killed in."""
    time.sleep(20)
    return likelihood(inputs)


@dataclass
class Reference:
    """What plain PyTorch had: losses and gradient norms by step, the first step's by tensor, the last weights."""

    losses: list[float]
    norms: list[float]
    first_norms: dict[str, float]
    weights: dict[str, torch.Tensor]


def train_by_the_book(
    path: Path, steps: Sequence[Sequence[TrainSequence]], optimizer: OptimizerConfig, *, temperature: float
) -> Reference:
    """AdamW of PyTorch at a constant rate, on transformers' own attention and logits."""
    policy = load_policy(path, dtype=torch.float32, attention="sdpa")
    decaying = [p for p in policy.parameters() if p.ndim > 1]
    others = [p for p in policy.parameters() if p.ndim <= 1]
    adam = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": optimizer.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=optimizer.learning_rate,
        betas=optimizer.betas,
        eps=optimizer.eps,
    )
    reference = Reference([], [], {}, {})
    for batch in steps:
        adam.zero_grad()
        loss = torch.stack([_loss(policy, one, temperature) for one in batch]).sum()
        loss.backward()
        if not reference.first_norms:
            reference.first_norms = {
                name: p.grad.norm().item() if p.grad is not None else 0.0 for name, p in policy.named_parameters()
            }
        norm = torch.nn.utils.clip_grad_norm_(policy.parameters(), optimizer.max_grad_norm)
        adam.step()
        reference.losses.append(loss.item())
        reference.norms.append(norm.item())
    with tempfile.TemporaryDirectory() as folder:
        policy.save_pretrained(folder)
        reference.weights = {k: v.clone() for k, v in load_file(f"{folder}/model.safetensors").items()}
    return reference


def _loss(policy, one: TrainSequence, temperature: float) -> torch.Tensor:
    ids = torch.from_numpy(one.token_ids)[None]
    images = {} if one.pixel_values is None else {"pixel_values": torch.from_numpy(one.pixel_values)}
    logits = policy(input_ids=ids, **images).logits[0, :-1] / temperature
    logprobs = torch.log_softmax(logits, dim=-1).gather(-1, ids[0, 1:, None])[:, 0]
    return -(logprobs * torch.from_numpy(one.weights)[1:]).sum().float()
