"""What an architecture is to the trainers: how it is read from a folder, and how a pack goes into its decoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from model.chat_format import ChatFormat
from model.sight import ImageMarks, Sight


class Family(Protocol):
    """One architecture. `marks` is None where a policy reads text only."""

    architecture: type[PreTrainedModel]
    formats: tuple[ChatFormat, ...]
    marks: ImageMarks | None

    def config(self, path: Path) -> PreTrainedConfig | None:
        """The configuration of a folder, where transformers would not read it; else None."""
        ...

    def reader(self, path: Path) -> tuple[Any, Sight | None]:
        """Tokenizer and sight of a folder.

        Raises:
            SnapshotError: the folder says something that this code cannot do.
        """
        ...

    def positions(self, config: Any, input_ids: Tensor, position_ids: Tensor, grids: Tensor | None) -> Tensor:
        """Position ids of a pack as the decoder takes them; [1, tokens] unless a family counts otherwise."""
        ...

    def decoder_inputs(
        self, policy: Any, input_ids: Tensor, position_ids: Tensor, pixel_values: Tensor | None, grids: Tensor | None
    ) -> dict[str, Any]:
        """Arguments of the decoder for a pack, or for part of one that holds its images whole.

        `position_ids` are what `positions` made, and among the arguments.

        Raises:
            ValueError: the images do not fit the placeholders in `input_ids`.
        """
        ...
