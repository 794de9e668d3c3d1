"""Tiny policies from a seed: their size, their tokenizer, their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from model.build import build
from model.load import load_policy
from model.render import Renderer
from model.sail_vl2.images import SailVl2ImageProcessor, fit
from model.tokens import SPECIAL, train_tokenizer


@pytest.mark.parametrize(("size", "least", "most"), [("nano", 0.2e6, 0.4e6), ("micro", 1.2e6, 1.4e6)])
def test_sizes(tmp_path: Path, size: Literal["nano", "micro"], least: float, most: float) -> None:
    build(size, tmp_path, seed=1)
    policy = load_policy(tmp_path, dtype=torch.float32)
    assert least <= sum(p.numel() for p in policy.parameters()) <= most


def test_a_seed_gives_the_same_folder_whatever_was_drawn_before(nano_folder: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    build("nano", tmp_path / "same", seed=0)
    assert torch.equal(torch.random.get_rng_state(), state)
    build("nano", tmp_path / "other", seed=1)
    for file in nano_folder.iterdir():
        assert (tmp_path / "same" / file.name).read_bytes() == file.read_bytes(), file.name
    first, second = (load_file(folder / "model.safetensors") for folder in (nano_folder, tmp_path / "other"))
    assert not torch.equal(first["mlp1.1.weight"], second["mlp1.1.weight"])


def test_the_tokenizer_is_the_same_for_a_seed() -> None:
    assert train_tokenizer(3).backend_tokenizer.to_str() == train_tokenizer(3).backend_tokenizer.to_str()


def test_digits_are_tokens_of_their_own_wherever_they_stand(renderer: Renderer) -> None:
    def tokens(text: str) -> list[str]:
        tokenizer = renderer.tokenizer
        return [tokenizer.decode([token]) for token in tokenizer.encode(text, add_special_tokens=False)]

    assert tokens("62 + 66 = 128.") == ["6", "2", " + ", "6", "6", " = ", "1", "2", "8", "."]
    assert tokens("ones 2, row 3") == ["ones ", "2", ", ", "row ", "3"]
    assert tokens("\\boxed{12}") == ["\\boxed{", "1", "2", "}"]


def test_any_text_comes_back(renderer: Renderer) -> None:
    text = "Äpfel & 梨: 3.5 m²\n\n  7\t\\frac{1}{2}  \r\n🙂 "
    ids = renderer.tokenizer.encode(text, add_special_tokens=False)
    assert renderer.decode(ids) == text


def test_control_tokens_are_one_token_each(renderer: Renderer) -> None:
    assert [renderer.tokenizer.encode(token, add_special_tokens=False) for token in SPECIAL] == [
        [index] for index in range(len(SPECIAL))
    ]


def test_an_image_of_the_right_size_keeps_its_pixels() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (112, 112, 3), dtype=np.uint8))
    assert fit(image, 112) is image
    processor = SailVl2ImageProcessor(size={"height": 112, "width": 112})
    pixels = processor.pixels(image)
    by_hand = (np.asarray(image)[5, 7] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels[:, 5, 7], by_hand, atol=1e-6)


def test_a_wide_image_stands_in_the_middle_of_white() -> None:
    square = np.asarray(fit(Image.new("RGB", (200, 50), "blue"), 112))
    assert square.shape == (112, 112, 3)
    assert (square[:42] == 255).all()
    assert (square[42:70] == (0, 0, 255)).all()
    assert (square[70:] == 255).all()


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK", "I;16"])
def test_every_kind_of_image_has_three_channels(mode: str) -> None:
    assert fit(Image.new(mode, (30, 20)), 112).mode == "RGB"


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (112, 112), (255, 0, 0, 0))
    assert fit(clear, 112).getpixel((50, 50)) == (255, 255, 255)
