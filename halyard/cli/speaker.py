"""A policy that answers on this machine: a plain sampling loop over the model's own cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from model.families import family_of
from model.hidden import silent_token
from model.load import load_policy, load_processor
from model.render import ChatMessage, Rendered, Renderer


@dataclass(frozen=True, slots=True)
class Speaker:
    """A policy with its renderer, and how its answers are drawn."""

    policy: PreTrainedModel
    renderer: Renderer
    max_tokens: int
    temperature: float
    generator: torch.Generator

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, temperature: float, seed: int) -> Speaker:
        """The policy of a folder, on a GPU where there is one.

        Raises:
            SnapshotError: the folder holds no policy.
        """
        device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        policy = load_policy(folder, dtype=dtype, attention="sdpa").to(device).eval()  # type: ignore[arg-type]
        generator = torch.Generator(device).manual_seed(seed)
        return cls(policy, load_processor(folder), max_tokens, temperature, generator)

    def answer(self, turns: Sequence[ChatMessage], *, thinking: bool) -> Iterator[str]:
        """The answer to the last turn, in pieces of text, as they come."""
        shown = ""
        ids: list[int] = []
        for token in self.tokens(self.renderer.prompt(turns, thinking=thinking)):
            ids.append(token)
            text = self.renderer.decode(ids)
            if not text.endswith("\ufffd"):  # half of a character: its other bytes are still to come
                yield text[len(shown) :]
                shown = text

    @torch.inference_mode()
    def tokens(self, prompt: Rendered) -> Iterator[int]:
        """Sampled tokens up to the end of the turn, which is left out."""
        policy, family, silent = self.policy, family_of(self.policy), silent_token(self.policy)
        decoder: Any = policy.get_decoder()
        head: Any = policy.get_output_embeddings()
        ids = torch.as_tensor(prompt.token_ids, device=policy.device)[None]
        pixels, grids = (
            None if seen is None else torch.as_tensor(seen, dtype=dtype, device=policy.device)
            for seen, dtype in ((prompt.pixel_values, policy.dtype), (prompt.image_grids, torch.long))
        )
        counted = torch.arange(ids.shape[1], device=policy.device)[None]
        positions, cache = family.positions(policy.config, ids, counted, grids), None
        for _ in range(self.max_tokens):
            inputs = family.decoder_inputs(policy, ids, positions, pixels, grids)
            out = decoder(**inputs, past_key_values=cache, use_cache=True)
            logits = head(out.last_hidden_state[:, -1])[0].float()
            if silent is not None:
                logits[silent] = -torch.inf
            token = self._draw(logits)
            if token == self.renderer.eos_token_id:
                return
            yield token
            ids, pixels, grids, cache = torch.tensor([[token]], device=policy.device), None, None, out.past_key_values
            positions = positions.amax(dim=-1, keepdim=True) + 1

    def _draw(self, logits: torch.Tensor) -> int:
        if self.temperature == 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / self.temperature).softmax(-1), 1, generator=self.generator))
