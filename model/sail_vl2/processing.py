"""Tokenizer and image processor in one, as Hugging Face and vLLM expect them."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.processing_utils import MultiModalData, ProcessorMixin

from model.sail_vl2.images import SailVl2ImageProcessor

IMAGE_START = "<img>"
IMAGE_END = "</img>"
IMAGE_TOKEN = "<IMG_CONTEXT>"


class SailVl2Processor(ProcessorMixin):
    """What turns texts and images into a policy's inputs.

    In text, one `<IMG_CONTEXT>` stands for an image, and becomes `<img>`, `image_tokens` times
    `<IMG_CONTEXT>` for each of its tiles, `</img>`.
    """

    image_token = IMAGE_TOKEN

    def __init__(
        self,
        image_processor: SailVl2ImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        image_tokens: int = 256,
        chat_template: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.image_tokens = image_tokens
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        super().__init__(image_processor, tokenizer, chat_template=chat_template, **kwargs)

    @property
    def image_token_ids(self) -> list[int]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Ids of the tokens that belong to an image."""
        return self.tokenizer.convert_tokens_to_ids([IMAGE_TOKEN, IMAGE_START, IMAGE_END])

    def replace_image_token(self, image_inputs: dict, image_idx: int, **_: Any) -> str:
        """What one `<IMG_CONTEXT>` becomes: as many of them as the image has visual tokens."""
        if "image_grids" in image_inputs:
            height, width = (int(side) for side in image_inputs["image_grids"][image_idx])
            count = height * width // self.image_processor.downsample**2
        else:
            tiles = image_inputs["num_tiles"][image_idx] if "num_tiles" in image_inputs else 1
            count = self.image_tokens * int(tiles)
        return f"{IMAGE_START}{IMAGE_TOKEN * count}{IMAGE_END}"

    def _get_num_multimodal_tokens(self, image_sizes: list | None = None, **_: Any) -> MultiModalData:
        """Tokens of each image with its marks, and tiles, of images of (height, width); none of them is opened."""
        images: SailVl2ImageProcessor = self.image_processor
        sizes = [(width, height) for height, width in image_sizes or []]
        tiles = images.budget(len(sizes))
        return MultiModalData(
            num_image_tokens=[images.tokens(size, tiles) + 2 for size in sizes],
            num_image_patches=[len(images.view_sizes(size, tiles)) for size in sizes],
        )
