"""A policy that answers on this machine: a plain sampling loop over the model's own cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

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
        device = self.policy.device
        ids = torch.as_tensor(prompt.token_ids, device=device)[None]
        inputs = (
            {"pixel_values": torch.as_tensor(prompt.pixel_values, dtype=self.policy.dtype, device=device)}
            if (prompt.pixel_values is not None)
            else {}
        )
        if prompt.image_grids is not None:
            inputs["image_grids"] = torch.as_tensor(prompt.image_grids, device=device)
        position, cache = 0, None
        for _ in range(self.max_tokens):
            positions = torch.arange(position, position + ids.shape[1], device=device)[None]
            out = self.policy(input_ids=ids, position_ids=positions, past_key_values=cache, use_cache=True, **inputs)
            token = self._draw(out.logits[0, -1].float())
            if token == self.renderer.eos_token_id:
                return
            yield token
            position, cache, inputs = position + ids.shape[1], out.past_key_values, {}
            ids = torch.tensor([[token]], device=device)

    def _draw(self, logits: torch.Tensor) -> int:
        if self.temperature == 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / self.temperature).softmax(-1), 1, generator=self.generator))
