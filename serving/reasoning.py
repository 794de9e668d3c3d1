"""Reasoning apart from the answer: `<think>reasoning</think>answer`, whole or as it streams.

vLLM imports this module as a plug-in (`reasoning_parser_plugin`), in this process and in the engine's own, which
must know where an answer begins to hold it to a JSON schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import model_serializer
from vllm.entrypoints.generate.base.protocol import DeltaMessage
from vllm.reasoning import ReasoningParserManager
from vllm.reasoning.basic_parsers import BaseThinkingReasoningParser

from model.chat_format import THINK, THINK_END

PARSER = "halyard"


def split(text: str) -> tuple[str, str]:
    """The reasoning and the answer in what a policy has written so far; in direct mode it is all answer."""
    before, opened, rest = text.partition(THINK)
    if not opened or before.strip():
        return "", text
    reasoning, _, answer = rest.partition(THINK_END)
    return reasoning, answer


class Delta(DeltaMessage):
    """A piece of a streamed answer, with its reasoning under the name that clients look for."""

    @model_serializer(mode="wrap")
    def _renamed(self, handler: Any) -> dict[str, Any]:
        data = handler(self)
        data.pop("tool_calls", None)
        if "reasoning" in data:
            data["reasoning_content"] = data.pop("reasoning")
        return data


class ThinkParser(BaseThinkingReasoningParser):
    """Reads what our policies write: in thinking mode they open `<think>` themselves, in direct mode never."""

    @property
    def start_token(self) -> str:
        """What opens the reasoning."""
        return THINK

    @property
    def end_token(self) -> str:
        """What closes it."""
        return THINK_END

    def extract_reasoning(self, model_output: str, request: Any) -> tuple[str | None, str | None]:  # noqa: ARG002
        """Reasoning and answer of a finished text; None for what is not there."""
        reasoning, answer = split(model_output)
        return reasoning or None, answer or None

    def extract_reasoning_streaming(
        self,
        previous_text: str,
        current_text: str,
        delta_text: str,  # noqa: ARG002
        previous_token_ids: Sequence[int],  # noqa: ARG002
        current_token_ids: Sequence[int],  # noqa: ARG002
        delta_token_ids: Sequence[int],  # noqa: ARG002
    ) -> DeltaMessage | None:
        """What came since the text before, or None when it was only a tag."""
        old_reasoning, old_answer = split(previous_text)
        reasoning, answer = split(current_text)
        fields = {"reasoning": reasoning[len(old_reasoning) :], "content": answer[len(old_answer) :]}
        given = {name: text for name, text in fields.items() if text}
        return Delta.model_validate(given) if given else None


ReasoningParserManager.register_module(PARSER, module=ThinkParser)
