"""Small recipes as text, for tests of what refuses them."""

from __future__ import annotations

from pathlib import Path

SMALL = """\
name: small
model: {build: nano}
cluster:
  engine: {max_model_len: 128}
  learner: {tokens_per_pack: 512}
stages:
  - name: warm-up
    type: sft
    steps: 4
    data: {sources: [{type: synthetic, rows: 8}]}
  - name: rl
    type: rl
    steps: 2
    prompts_per_step: 4
    group_size: 4
    data: {sources: [{type: synthetic, rows: 8}]}
    sampling: {max_tokens: 24}
"""


def written(folder: Path, text: str = SMALL, name: str = "small.yaml") -> str:
    """Path of a recipe with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
