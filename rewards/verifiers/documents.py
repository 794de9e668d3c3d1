"""Answers read from documents, forgiving of a wrong letter."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rewards.normal import tidy
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.verifiers.reading import committed, no_reference, nothing, references


@reward
def anls(sample: Sample, threshold: Annotated[float, Field(gt=0, le=1)] = 0.5) -> Judgement:
    """How near the answer's letters are to the reference's, from 1 for the same; 0 from half of them wrong.

    1 - d where d is the Levenshtein distance divided by the longer length, if d is below the threshold, else 0;
    the best over all references (the reference may be a JSON list). Case and idle space are set aside.

    Source: average normalised Levenshtein similarity, Biten et al. 2019 (arXiv 1905.13648), equation 1, with the
    threshold of 0.5 of Mathew et al. 2021 (DocVQA, arXiv 2007.00398).

    Example: reference `["Hamilton", "W. Hamilton"]`, right answer `Hamilton`; `Hamiltom` gets 0.875

    Args:
        threshold: normalised distance from which an answer is worth nothing.
    """
    wanted = [_spelled(one) for one in references(sample)]
    if not any(wanted):
        return no_reference("a text, or a JSON list of texts; there is none")
    answer = committed(sample.answer)
    if answer is None:
        return nothing(sample.answer)
    score, nearest = max((similarity(_spelled(answer), one, threshold), one) for one in wanted if one)
    return Judgement(score, f"{brief(answer)} is {score:.0%} like {brief(nearest)}")


def _spelled(text: str) -> str:
    return " ".join(tidy(text).casefold().split())


def similarity(answer: str, reference: str, threshold: float) -> float:
    """1 minus the normalised distance, or 0 from the threshold on.

    >>> similarity("hamiltom", "hamilton", 0.5)
    0.875
    """
    longer = max(len(answer), len(reference))
    if abs(len(answer) - len(reference)) >= threshold * longer:
        return float(answer == reference)
    apart = distance(answer, reference) / longer
    return 1 - apart if apart < threshold else 0.0


def distance(left: str, right: str) -> int:
    """The Levenshtein distance: a column of the table at a time, its steps up and down as bits of an integer.

    Source: Hyyrö 2003, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", figure 8.
    """
    if not left:
        return len(right)
    positions: dict[str, int] = {}
    for index, character in enumerate(left):
        positions[character] = positions.get(character, 0) | 1 << index
    everything, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    up, down, found = everything, 0, len(left)
    for character in right:
        equal = positions.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right_up = down | ~(diagonal | up) & everything
        right_down = diagonal & up
        found += bool(right_up & last) - bool(right_down & last)
        right_up, right_down = (right_up << 1 | 1) & everything, right_down << 1 & everything
        up, down = right_down | ~(diagonal | right_up) & everything, right_up & diagonal
    return found
