"""vLLM's parser machinery with our parser: reasoning and answer come apart the same, whole and streamed."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser import ParserManager

from model.tokens import train_tokenizer
from serving.reasoning import PARSER, Delta, split

TOKENIZER = train_tokenizer(0)
REQUEST = ChatCompletionRequest(messages=[], model="m")


def parser():
    cls = ParserManager.get_parser(reasoning_parser_name=PARSER)
    assert cls is not None
    return cls(TOKENIZER)


def streamed(pieces: list[str]) -> tuple[str, str]:
    """Reasoning and answer of a text that comes in pieces, each of whole tokens."""
    one, reasoning, answer = parser(), "", ""
    for index, piece in enumerate(pieces):
        ids = TOKENIZER.encode(piece, add_special_tokens=False)
        delta = one.parse_delta(piece, ids, REQUEST, prompt_token_ids=[1], finished=index == len(pieces) - 1)
        if delta is not None:
            reasoning += delta.reasoning or ""
            answer += delta.content or ""
    return reasoning, answer


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>2 and 3</think>5", "2 and 3", "5"),
        ("<think>\n2 and 3\n</think>\n\n5", "\n2 and 3\n", "\n\n5"),
        ("<think>never ends", "never ends", None),
        ("<think></think>5", None, "5"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("5", None, "5"),
        ("5</think>6", None, "5</think>6"),
        ("", None, None),
    ],
)
def test_a_whole_text_is_split(text, reasoning, answer) -> None:
    found = parser().parse(text, REQUEST)
    assert (found[0], found[1] or None) == (reasoning, answer)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["<think>", "</think>", "2", " and ", "3", "\n", "5 "]), min_size=1, max_size=12))
def test_a_stream_gives_what_the_whole_does_where_it_is_well_formed(pieces) -> None:
    text = "".join(pieces)
    assume(text.count("</think>") <= text.count("<think>") <= 1)
    assume("<think>" not in text or text.startswith("<think>"))
    assert streamed(pieces) == split(text)


def test_reasoning_has_the_name_that_clients_look_for() -> None:
    delta = Delta.model_validate({"reasoning": "a", "content": "b"})
    assert json.loads(delta.model_dump_json(exclude_unset=True)) == {"reasoning_content": "a", "content": "b"}
