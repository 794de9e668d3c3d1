"""A penalty on text that goes round in circles."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from rewards.registry import reward
from rewards.sample import Judgement, Sample
from rewards.verifiers.reading import Part, part_of

_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af\u0e00-\u0e7f"
_WORDS = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]{{1,12}}|[^\w\s]")
"""Words, signs, and single characters of scripts that put no space between words; a long unbroken run comes in
pieces, or `aaaa…` would be one word that is never repeated."""


@reward
def repetition(
    sample: Sample,
    n: Annotated[int, Field(ge=1, le=200)] = 4,
    free: Annotated[float, Field(ge=0, lt=1)] = 0.3,
    weight: Annotated[float, Field(gt=0)] = 1.0,
    part: Part = "response",
) -> Judgement:
    """0 for text that does not repeat itself, down to minus `weight` for text that says one thing over and over.

    The share of n-grams that have been there before, 1 - unique / all, over words, signs, and characters of
    Chinese, Japanese, Korean and Thai. A share up to `free` costs nothing (mathematics repeats its formulas);
    from there the penalty grows linearly to the whole weight at 1.

    Source: Welleck et al. 2020 (arXiv 1908.04319), seq-rep-n, whose default there is n = 4; as a penalty in RL
    in Yeo et al. 2025 (arXiv 2502.03373), there token by token, here one number a response. `free` is ours.

    Example: costs nothing: `two and three are five`; costs almost all of the weight: `so so so so …`, 100 times

    Args:
        n: length of the n-grams in words.
        free: share of repeated n-grams that costs nothing.
        weight: penalty of a text in which everything is repeated.
        part: what is looked at: the answer, the reasoning, or the whole response.
    """
    share = repeated(part_of(sample, part), n)
    penalty = max(0.0, share - free) / (1 - free)
    return Judgement(-weight * penalty if penalty else 0.0, f"{share:.0%} of {n}-grams repeated", {"repeated": share})


def repeated(text: str, n: int) -> float:
    """The share of n-grams of words that occurred before; 0 for a text of fewer than n words.

    >>> repeated("so so so so", 2)
    0.6666666666666667
    """
    words = _WORDS.findall(text.casefold())
    grams = list(zip(*(words[start:] for start in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
