"""From a row to the question it asks."""

from __future__ import annotations

from halyard.data.types import Message, Prompt, Row


def question(row: Row) -> tuple[Message, ...]:
    """The conversation up to where the assistant is to answer: a last turn of the assistant is left off."""
    last = row.messages[-1:]
    return row.messages[:-1] if last and last[0].role == "assistant" else row.messages


def to_prompt(row: Row, *, thinking: bool) -> Prompt:
    """The row's question, put in one mode."""
    return Prompt(
        id=row.id,
        messages=question(row),
        answer=row.answer,
        task=row.task,
        family=row.family,
        source=row.source,
        thinking=thinking,
        metadata=row.metadata,
    )
