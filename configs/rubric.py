"""Rubrics: what a judge is asked, as files. Shipped ones go by name, others by their path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from configs.base import Config, Flag, Name, Positive, Share
from configs.faults import Fault, Origins, describe, nearest, refuse
from configs.text import read_file
from halyard.errors import ConfigError

SHIPPED = Path(__file__).parent / "rubrics"
CANNOT_TELL = "cannot_tell"
"""The answer of a judge that does not see what it would need; it fails the verdict."""
COMPARED = {"first": 1.0, "second": 0.0, "tie": 0.5}
"""What may be answered to a comparison, and what that pays the answer shown first."""
Shown = Literal["images", "prompt", "reference", "reasoning", "answer"]
FIELD = re.compile(r"\{(\w+)\}")
"""Where `wording` has something filled in, and what."""


class Criterion(Config):
    """One question of a rubric, with its answers."""

    name: Name
    """What its figure is called, below the term's name."""
    question: Annotated[str, Field(min_length=1)]
    """What the judge is to decide."""
    answers: dict[str, Share] = Field(default_factory=lambda: {"yes": 1.0, "no": 0.0})
    """What may be answered, and what each answer pays, between 0 and 1; compared answers are first, second and tie."""
    weight: Positive = 1.0
    """Weight among the criteria, where they are averaged."""


class Rubric(Config):
    """A judge's instructions."""

    name: Name
    """What the rubric is called."""
    description: Annotated[str, Field(min_length=1)]
    """What it is good for, in a sentence."""
    form: Literal["single", "pair"] = "single"
    """Judges one response at a time, or compares two of the same prompt."""
    shows: Annotated[tuple[Shown, ...], Field(min_length=1)]
    """What the judge sees: images and prompt, the reference answer, the response's reasoning and answer."""
    needs_reasoning: Flag = False
    """Judges reasoning: a response that was asked to answer directly scores 1 unasked."""
    refuses_flattery: Flag = True
    """Responses that speak to the judge score 0 unasked; false where answers may rightly do so."""
    longest: Annotated[int, Field(ge=100)] = 16_000
    """Characters shown of each part; the middle of a longer one is left out."""
    wording: str | None = None
    """The whole question in these words, with {reasoning}, {answer} … filled in, for a judge that was trained on
    them and answers with one word; none asks for JSON with reasons, with what is judged behind a fence."""
    combine: Literal["mean", "min", "product"] = "mean"
    """How the criteria's figures make the score."""
    criteria: Annotated[tuple[Criterion, ...], Field(min_length=1)]
    """What is asked."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that the rubric says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def score(self, figures: dict[str, float]) -> float:
        """The score that the criteria's figures make."""
        values = [figures[criterion.name] for criterion in self.criteria]
        if self.combine == "min":
            return min(values)
        if self.combine == "mean":
            weights = [criterion.weight for criterion in self.criteria]
            return sum(weight * value for weight, value in zip(weights, values, strict=True)) / sum(weights)
        product = 1.0
        for value in values:
            product *= value
        return product


def shipped() -> dict[str, Rubric]:
    """The rubrics that come with Halyard, by name."""
    return {path.stem: _read(path) for path in sorted(SHIPPED.glob("*.yaml"))}


def is_shipped(name: str) -> bool:
    """Whether a rubric of this name comes with Halyard."""
    return name.isidentifier() and (SHIPPED / f"{name}.yaml").is_file()


def load_rubric(name_or_path: str, root: Path = Path()) -> Rubric:
    """The shipped rubric of that name, or that of a file, which is relative to `root`.

    Raises:
        ConfigError: there is none, or it is wrong; the message has a line for every fault.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return _read(root / Path(name_or_path).expanduser())
    names = [path.stem for path in sorted(SHIPPED.glob("*.yaml"))]
    if name_or_path not in names:
        near = nearest(name_or_path, names) or "."
        raise ConfigError(
            f"there is no rubric {name_or_path}{near} Shipped rubrics: {', '.join(names)}; a file ends in .yaml"
        )
    return _read(SHIPPED / f"{name_or_path}.yaml")


def _read(path: Path) -> Rubric:
    document = read_file(path)
    origins = Origins({keys: f"{path}:{line}" for keys, line in document.lines.items()})
    if not isinstance(document.value, dict):
        raise ConfigError(f"{path}: this is no rubric: expected keys, name, description, shows and criteria among them")
    refuse(document.faults, origins)
    try:
        rubric = Rubric.model_validate(document.value)
    except ValidationError as error:
        refuse(describe(error.errors(), Rubric), origins)
        raise
    if rubric.form == "pair":
        rubric = rubric.model_copy(update={"criteria": tuple(map(_compared, rubric.criteria))})
    refuse(_contradictions(rubric), origins)
    return rubric


def _compared(criterion: Criterion) -> Criterion:
    """The criterion with the answers of a comparison, where it names none."""
    given = "answers" in criterion.model_fields_set
    return criterion if given else criterion.model_copy(update={"answers": COMPARED})


def _contradictions(rubric: Rubric) -> Iterator[Fault]:
    """What no single field of a rubric can know."""
    seen: set[str] = set()
    for index, criterion in enumerate(rubric.criteria):
        path = ("criteria", index)
        if criterion.name in seen:
            yield Fault((*path, "name"), f"is {criterion.name}, as another criterion is called already")
        seen.add(criterion.name)
        yield from _answers(rubric, criterion, path)
    if rubric.wording is not None:
        yield from _wording(rubric, rubric.wording)
    if rubric.form == "pair" and rubric.needs_reasoning:
        yield Fault(("needs_reasoning",), "goes with form single: a direct answer can be compared like any other")
    if not {"answer", "reasoning"} & set(rubric.shows):
        yield Fault(("shows",), "has neither answer nor reasoning: the judge would see nothing of the response")


def _answers(rubric: Rubric, criterion: Criterion, path: tuple[str, int]) -> Iterator[Fault]:
    if rubric.form == "pair" and criterion.answers != COMPARED:
        yield Fault(
            (*path, "answers"), "are others than first, second and tie, which form pair always has: leave them out"
        )
    if len(set(criterion.answers.values())) < 2:
        yield Fault((*path, "answers"), "pay all the same: expected at least two that differ")
    if CANNOT_TELL in criterion.answers:
        yield Fault((*path, "answers"), f"have {CANNOT_TELL}, which is always there and fails the verdict")


def _wording(rubric: Rubric, wording: str) -> Iterator[Fault]:
    if rubric.form == "pair" or len(rubric.criteria) != 1 or "images" in rubric.shows:
        yield Fault(("wording",), "goes with one criterion, form single and no images: one word is answered to a text")
    unknown = sorted(set(FIELD.findall(wording)) - set(rubric.shows))
    if unknown:
        yield Fault(("wording",), f"fills in {', '.join(unknown)}, which shows does not name")
