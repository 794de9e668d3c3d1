"""What is wrong with a row, if anything: each check gives the reason in words, or None."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from halyard.data.images import open_image
from halyard.data.prompts import question
from halyard.data.types import Row
from halyard.data.videos import open_video
from halyard.errors import DataError

if TYPE_CHECKING:
    from model.render import Renderer

Need = Literal["answer", "assistant"]
"""What the user of the rows cannot do without: a reference answer (RL), or the assistant's turn (SFT)."""


def fault(row: Row, need: Need | None) -> str | None:
    """Why the conversation cannot be used, by its form alone."""
    asked = question(row)
    if not asked or asked[-1].role != "user":
        return "the conversation does not end with the user's question (and the assistant's answer to it)"
    if not any(message.text.strip() or message.images or message.videos for message in asked if message.role == "user"):
        return "the user's message is empty"
    if need == "assistant" and (len(asked) == len(row.messages) or not row.messages[-1].text.strip()):
        return "the assistant's turn is missing: there is nothing to learn from"
    if need == "answer" and row.answer is None and row.task != "open":
        return "the answer is missing: without it no reward can be given (only task 'open' does without)"
    return None


def unreadable(row: Row) -> str | None:
    """Why one of the images or videos cannot be opened; all are decoded, of a video the frames that are shown."""
    try:
        for message in row.messages:
            for ref in message.images:
                open_image(ref)
            for video in message.videos:
                open_video(video)
    except DataError as error:
        return str(error)
    return None


def too_long(row: Row, renderer: Renderer, most: int) -> str | None:
    """That the prompt, its images expanded, has more tokens than allowed; in thinking mode, the longer one."""
    from halyard.data.chat import to_chat  # imports the model's renderer, which reading data alone does not need

    tokens = len(renderer.prompt(to_chat(question(row)), thinking=True).token_ids)
    return f"the prompt has {tokens} tokens, more than max_prompt_tokens = {most}" if tokens > most else None
