"""SAIL-VL2 in our own layout and in the one it was released in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from model import registry, released
from model.chat_format import FORMATS, ChatFormat
from model.sail_vl2 import SailVl2Config, SailVl2ForConditionalGeneration, SailVl2Processor
from model.sight import SAIL_VL2_MARKS, ImageMarks, Sight


@dataclass(slots=True)
class SailVl2Family:
    """The policy that this project is about; `released` is the layout of the published folders."""

    released: bool = False
    architecture: type[PreTrainedModel] = SailVl2ForConditionalGeneration
    formats: tuple[ChatFormat, ...] = FORMATS
    marks: ImageMarks | None = SAIL_VL2_MARKS

    def config(self, path: Path) -> SailVl2Config | None:
        """The configuration in our terms, where the folder has it in others."""
        return released.read_config(path) if self.released else None

    def reader(self, path: Path) -> tuple[Any, Sight]:
        """Tokenizer and image processor of a folder."""
        registry.register()
        processor = released.read_processor(path) if self.released else SailVl2Processor.from_pretrained(path)
        return processor.tokenizer, processor.image_processor

    def positions(self, config: Any, input_ids: Tensor, position_ids: Tensor, grids: Tensor | None) -> Tensor:  # noqa: ARG002
        """Position ids as they are."""
        return position_ids

    def decoder_inputs(
        self, policy: Any, input_ids: Tensor, position_ids: Tensor, pixel_values: Tensor | None, grids: Tensor | None
    ) -> dict[str, Any]:
        """Embeddings with the images written over their placeholders."""
        return {"inputs_embeds": policy.embed(input_ids, pixel_values, grids), "position_ids": position_ids}
