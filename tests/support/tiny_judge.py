"""A small judge trained as the quickstart's is, in plain PyTorch: does reasoning agree with the answer beside it?"""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from configs.data import JudgementSource
from halyard.data.chat import to_chat
from halyard.data.judgements import make
from model.build import build
from model.load import load_policy, load_processor
from model.render import Rendered

IGNORED = -100


def save_judge(path: Path, *, steps: int, batch: int = 64, learning_rate: float = 2e-3) -> Path:
    """A judge of 0.4 million parameters as a model folder; its path."""
    build("nano", path, seed=0)
    renderer = load_processor(path)
    policy = load_policy(path, dtype=torch.float32, attention="sdpa").train()
    rows = make(JudgementSource(type="judgements", difficulty=0.25, rows=12_000))
    examples = [renderer.conversation(to_chat(row.messages), thinking=False) for row in rows]
    optimizer = torch.optim.AdamW(policy.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    chance = random.Random(0)
    for _ in range(steps):
        ids, labels = _batch(chance.sample(examples, batch))
        places = torch.arange(ids.shape[1]).expand_as(ids)
        logits = policy(input_ids=ids, position_ids=places).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    policy.save_pretrained(path)
    return path


def _batch(examples: list[Rendered]) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded on the right, which a causal policy never looks at, and what is learnt of them."""
    longest = max(len(one.token_ids) for one in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for row, one in enumerate(examples):
        tokens = torch.as_tensor(one.token_ids)
        ids[row, : len(tokens)] = tokens
        mask = torch.as_tensor(one.loss_mask)
        labels[row, : len(tokens)][mask] = tokens[mask]
    return ids, labels
