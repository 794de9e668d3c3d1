"""Where rows come from: files, Hugging Face data sets, generated problems, earlier stages."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from configs.base import Config, Count, Name, Natural, Positive, Share

Family = Literal["sum", "chart", "count", "table", "stem", "describe", "read"]
Layout = Literal["native", "verl", "trl"]


class _Source(Config):
    weight: Positive = 1.0
    """Share of this source in the mixture, relative to the others."""
    limit: Count | None = None
    """Take only this many rows, from the front."""


class SyntheticSource(_Source):
    """Problems made on the spot: seeded, exact, with drawn images."""

    type: Literal["synthetic"] = "synthetic"
    families: tuple[Family, ...] = ("sum", "chart", "count", "table", "stem")
    """Kinds of problem, in equal parts."""
    split: Literal["train", "validation"] = "train"
    """The two splits share no question."""
    rows: Count = 1000
    """Rows to make."""
    difficulty: Share = 0.5
    """From 0 (small numbers, few things) to 1."""
    mode: Literal["thinking", "direct"] = "thinking"
    """Whether the assistant's turn has the step-by-step trace, or the answer alone."""
    brief: Share = 0.0
    """Share of the traces that are cut to their last sentence, for data of balanced lengths."""
    hasty: Share = 0.0
    """Share of the traces that jump to a wrong conclusion, as some do in every corpus that nobody has checked. The
    row's own answer stays the right one."""
    part: tuple[Share, Share] = (0.0, 1.0)
    """Which of the split's questions: those from the first share to below the second. Parts that do not overlap share
    no question, so that reinforcement learning can have problems that no fine-tuning has shown."""
    seed: Natural = 0
    """Other seeds make other problems of the same split."""

    @model_validator(mode="after")
    def _part_of_something(self) -> Self:
        start, end = self.part
        if start >= end:
            raise ValueError(f"part is {start:g} to {end:g}, expected a first share below the second")
        return self

    @model_validator(mode="after")
    def _traces_of_three_kinds(self) -> Self:
        if self.brief + self.hasty > 1:
            raise ValueError(
                f"brief {self.brief:g} and hasty {self.hasty:g} are more than all traces: their sum is at most 1"
            )
        return self


class JudgementSource(_Source):
    """Synthetic judgements: does a piece of reasoning agree with the answer that follows it?"""

    type: Literal["judgements"] = "judgements"
    split: Literal["train", "validation"] = "train"
    """The two splits share no question."""
    rows: Count = 1000
    """Rows to make."""
    difficulty: Share = 0.5
    """From 0 (short traces, small numbers) to 1."""
    seed: Natural = 0
    """Other seeds make other problems of the same split."""


class FileSource(_Source):
    """Rows of JSONL or Parquet files; images as paths, bytes or data URIs."""

    type: Literal["jsonl", "parquet"]
    path: str
    """A file, or a pattern such as data/*.jsonl; relative to the recipe's folder."""
    layout: Layout = "native"
    """The columns: our own schema, or those of verl's or TRL's prompt data sets."""


class HuggingFaceSource(_Source):
    """Rows of a Hugging Face data set: a hub name, or a folder that `save_to_disk` wrote."""

    type: Literal["huggingface"] = "huggingface"
    path: str
    """A name such as org/name, or a folder (beginning with . or /), relative to the recipe's."""
    split: str = "train"
    """Split of the data set."""
    layout: Layout = "native"
    """The columns: our own schema, or those of verl's or TRL's prompt data sets."""


class StageSource(_Source):
    """Rows that an earlier stage of the same pipeline kept."""

    type: Literal["stage"] = "stage"
    stage: Name
    """Name of a filter, harvest or hard-cases stage."""


Source = Annotated[
    SyntheticSource | JudgementSource | FileSource | HuggingFaceSource | StageSource, Field(discriminator="type")
]


class DataConfig(Config):
    """A weighted mixture of sources, and what is done about bad rows."""

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """What is mixed, by weight."""
    on_bad_row: Literal["refuse", "skip"] = "refuse"
    """Refuse the run, naming file, row and reason; or skip the row and count it."""
    video_frames: Count = 16
    """Most frames of a video that a policy is shown, evenly over its length."""
    max_prompt_tokens: Count | None = None
    """Longer prompts are bad rows; none allows what the engine's window allows."""
