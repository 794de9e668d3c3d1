"""Makes transformers know SAIL-VL2: `AutoConfig`, `AutoModelForImageTextToText`, `AutoProcessor`."""

from __future__ import annotations

from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageTextToText, AutoProcessor

from model.sail_vl2 import (
    SailVl2Config,
    SailVl2ForConditionalGeneration,
    SailVl2ImageProcessor,
    SailVl2Processor,
    SailVl2VisionConfig,
    SailVl2VisionModel,
)


def register() -> None:
    """Register the classes; doing it again changes nothing."""
    AutoConfig.register("sail_vl2_vision", SailVl2VisionConfig, exist_ok=True)
    AutoConfig.register("sail_vl2", SailVl2Config, exist_ok=True)
    AutoModel.register(SailVl2VisionConfig, SailVl2VisionModel, exist_ok=True)
    AutoModelForImageTextToText.register(SailVl2Config, SailVl2ForConditionalGeneration, exist_ok=True)
    AutoImageProcessor.register(SailVl2Config, slow_image_processor_class=SailVl2ImageProcessor, exist_ok=True)
    AutoProcessor.register(SailVl2Config, SailVl2Processor, exist_ok=True)
