"""Policies that read text only: Qwen3, dense and of experts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel

from model.chat_format import CHATML, FORMATS, ChatFormat
from model.sight import ImageMarks


@dataclass(slots=True)
class TextFamily:
    """A decoder and nothing else."""

    architecture: type[PreTrainedModel]
    formats: tuple[ChatFormat, ...] = (*FORMATS, CHATML)
    marks: ImageMarks | None = None

    def config(self, path: Path) -> None:  # noqa: ARG002
        """Nothing: transformers reads it."""
        return

    def reader(self, path: Path) -> tuple[Any, None]:
        """The tokenizer of a folder."""
        return AutoTokenizer.from_pretrained(path), None

    def positions(self, config: Any, input_ids: Tensor, position_ids: Tensor, grids: Tensor | None) -> Tensor:  # noqa: ARG002
        """Position ids as they are."""
        return position_ids

    def decoder_inputs(
        self,
        policy: Any,  # noqa: ARG002
        input_ids: Tensor,
        position_ids: Tensor,
        pixel_values: Tensor | None,
        grids: Tensor | None,  # noqa: ARG002
    ) -> dict[str, Any]:
        """The pack as it is."""
        if pixel_values is not None:
            raise ValueError("a policy that reads text only was given images")
        return {"input_ids": input_ids, "position_ids": position_ids}
