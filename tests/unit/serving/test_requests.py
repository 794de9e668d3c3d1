from __future__ import annotations

import pytest
from pydantic import ValidationError

from serving.errors import Refusal
from serving.json_schema import check_schema
from serving.schema import ChatBody, CompletionBody, TokenizeBody

CHAT = {"model": "r@v", "messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(
    ("fields", "thinks"),
    [
        ({}, True),
        ({"thinking": None}, True),
        ({"thinking": True}, True),
        ({"thinking": False}, False),
        ({"chat_template_kwargs": {"enable_thinking": False}}, False),
        ({"thinking": True, "chat_template_kwargs": {"enable_thinking": False}}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "low"}, True),
    ],
)
def test_thinking_is_a_switch_with_three_spellings(fields, thinks) -> None:
    assert ChatBody.model_validate(CHAT | fields).thinks is thinks


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"repetition_penalty": 5e-324},
        {"n": 0},
        {"seed": 2**63},
        {"stop": ["a"] * 5},
        {"stop": [""]},
        {"stop": "x" * 257},
        {"top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 21},
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "tool", "content": "a"}]},
        {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
        {"messages": [{"role": "user", "content": 5}]},
        {"model": ""},
        {"model": "x" * 257},
        {"response_format": {"type": "json_schema"}},
        {"response_format": {"type": "grammar"}},
        {"user": ""},
    ],
)
def test_bounds_of_chats(fields) -> None:
    with pytest.raises(ValidationError):
        ChatBody.model_validate(CHAT | fields)


def test_what_goes_to_the_engine_is_what_was_given() -> None:
    body = ChatBody.model_validate(
        CHAT | {"temperature": 0, "stop": "x", "n": 2, "stream": True, "tools": [], "echo": 1}
    )
    assert body.sampling() == {
        "temperature": 0,
        "stop": ["x"],
        "n": 2,
        "ignore_eos": False,
        "stream": True,
        "stream_options": {"include_usage": False},
    }
    assert body.ignored == ["tools", "echo"]


@pytest.mark.parametrize(("prompt", "count"), [("a", 1), (["a", "b"], 2), ([5, 6, 7], 1), ([[5, 6], [7]], 2)])
def test_prompts_are_counted(prompt, count) -> None:
    assert CompletionBody.model_validate({"model": "r@v", "prompt": prompt}).prompts == count


@pytest.mark.parametrize("prompt", ["", [], [""], [[]], [[1], []], [-1], [1, "a"], None])
def test_prompts_that_are_none(prompt) -> None:
    with pytest.raises(ValidationError):
        CompletionBody.model_validate({"model": "r@v", "prompt": prompt})


@pytest.mark.parametrize("fields", [{}, {"prompt": "a", "messages": CHAT["messages"]}])
def test_either_a_prompt_or_a_chat_is_tokenised(fields) -> None:
    with pytest.raises(ValidationError, match="either prompt or messages"):
        TokenizeBody.model_validate({"model": "r@v"} | fields)


def nested(levels: int) -> dict:
    node: dict = {"type": "integer"}
    for _ in range(levels):
        node = {"items": node}
    return node


LIST = {"$defs": {"list": {"properties": {"next": {"$ref": "#/$defs/list"}}}}, "$ref": "#/$defs/list"}
"""A list is as long as it is: each step to itself is within a part."""


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        LIST,
        {"properties": {"self": {"$ref": "#"}}},
        nested(30),
        {"$defs": {"a/b": {}}, "$ref": "#/$defs/a~1b"},
    ],
)
def test_schemas_that_end_are_taken(schema) -> None:
    check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#"}, "itself"),
        ({"anyOf": [{"type": "integer"}, {"$ref": "#"}]}, "itself"),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "itself"),
        ({"$ref": "#/$defs/none"}, "not in it"),
        ({"$ref": "http://127.0.0.1/schema"}, "within itself"),
        ({"$ref": "other.json"}, "within itself"),
        (nested(32), "deep"),
        ({"enum": list(range(5000))}, "parts"),
    ],
)
def test_schemas_that_do_not_are_refused(schema, words) -> None:
    with pytest.raises(Refusal, match=words):
        check_schema(schema)


def test_references_that_multiply_are_refused() -> None:
    """Each definition refers twice to the next: two to the power of twenty ways through it."""
    steps = {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{i + 1}"}, {"$ref": f"#/$defs/d{i + 1}"}]} for i in range(20)}
    with pytest.raises(Refusal, match="too many references"):
        check_schema({"$defs": steps | {"d20": {"type": "integer"}}, "$ref": "#/$defs/d0"})
