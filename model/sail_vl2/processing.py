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
    `<IMG_CONTEXT>`, `</img>`.
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

    def replace_image_token(self, image_inputs: dict, image_idx: int, **_: Any) -> str:  # noqa: ARG002
        """What one `<IMG_CONTEXT>` becomes; the same for every image."""
        return f"{IMAGE_START}{IMAGE_TOKEN * self.image_tokens}{IMAGE_END}"

    def _get_num_multimodal_tokens(self, image_sizes: list | None = None, **_: Any) -> MultiModalData:
        count = len(image_sizes or [])
        return MultiModalData(num_image_tokens=[self.image_tokens + 2] * count, num_image_patches=[1] * count)
