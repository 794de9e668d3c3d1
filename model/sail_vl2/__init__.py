"""The SAIL-VL2 architecture as Hugging Face classes: configuration, model, image processor, processor."""

from __future__ import annotations

from model.sail_vl2.configuration import SailVl2Config, SailVl2VisionConfig
from model.sail_vl2.images import SailVl2ImageProcessor
from model.sail_vl2.modeling import SailVl2ForConditionalGeneration
from model.sail_vl2.processing import SailVl2Processor
from model.sail_vl2.vision import SailVl2VisionModel

__all__ = [
    "SailVl2Config",
    "SailVl2ForConditionalGeneration",
    "SailVl2ImageProcessor",
    "SailVl2Processor",
    "SailVl2VisionConfig",
    "SailVl2VisionModel",
]
