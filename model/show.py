"""Rendered conversations for people: each token, coloured by whether it is learnt."""

from __future__ import annotations

from itertools import groupby

from model.render import Rendered, Renderer

LEARNT = "\033[30;42m"
GIVEN = "\033[2m"
RESET = "\033[0m"


def show_mask(renderer: Renderer, rendered: Rendered, *, colour: bool = True) -> str:
    """The tokens of a conversation, learnt ones on green (without colour: in [brackets]), images as `<IMG>x16`."""
    pairs = zip(rendered.token_ids.tolist(), rendered.loss_mask.tolist(), strict=True)
    shown = []
    for (token, learnt), run in groupby(pairs):
        text = renderer.tokenizer.decode([token]).replace("\n", "⏎\n")
        times = len(list(run))
        text = f"{text}x{times}" if token == renderer.image_token_id else text * times
        shown.append(_painted(text, learnt) if colour else f"[{text}]" if learnt else text)
    return "".join(shown)


def _painted(text: str, learnt: bool) -> str:
    return f"{LEARNT if learnt else GIVEN}{text}{RESET}"
