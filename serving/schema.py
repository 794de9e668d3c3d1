"""What clients may send: OpenAI's requests, the part of them that is served, with bounds.

Fields that are not here are left alone, as OpenAI leaves them, and named in the header `x-halyard-ignored`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

_INT64 = 2**63
Text = Annotated[str, Field(max_length=2**20)]
Label = Annotated[str, Field(min_length=1, max_length=256)]
StopText = Annotated[str, Field(min_length=1, max_length=256)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


TokenId = Annotated[int, Field(ge=0, lt=2**31)]


class Body(BaseModel):
    """A part of a request."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False, protected_namespaces=())

    @property
    def ignored(self) -> list[str]:
        """Names of the fields that are not served."""
        return list(self.model_extra or ())


class TextPart(Body):
    """Text of a message."""

    type: Literal["text"]
    text: Text


class ImageUrl(Body):
    """Where an image is: a data URI, or an http(s) URL of a host that the operator allows."""

    url: Annotated[str, Field(min_length=1)]


class ImagePart(Body):
    """An image of a message. A message's images come before its text, as in training."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = Annotated[TextPart | ImagePart, Field(discriminator="type")]


def _form(content: Any) -> str:
    return "parts" if isinstance(content, list) else "plain"


Content = Annotated[
    Annotated[Text, Tag("plain")] | Annotated[list[Part], Tag("parts")],
    Discriminator(_form),
]


class Message(Body):
    """One turn of a chat."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content | None = None
    reasoning_content: Text | None = None
    """What an assistant thought before its answer, as it came back with it."""


class JsonSchema(Body):
    """A schema that the answer must have."""

    name: str = "answer"
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class ResponseFormat(Body):
    """The form of the answer: free, any JSON object, or JSON of a schema."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None

    @model_validator(mode="after")
    def _has_schema(self) -> ResponseFormat:
        if self.type == "json_schema" and self.json_schema is None:
            raise ValueError("a response_format of type json_schema has its schema under json_schema.schema")
        return self


class StreamOptions(Body):
    """What a stream carries beside the answer."""

    include_usage: bool = False


class TemplateOptions(Body):
    """The thinking switch where Qwen3's clients put it."""

    enable_thinking: bool | None = None


class Sampling(Body):
    """What chats and completions have in common."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    """`RUN@VERSION`, or an alias such as `RUN@latest`."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1, lt=2**31)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=1024)] | None = None
    seed: Annotated[int, Field(ge=-_INT64, lt=_INT64)] | None = None
    stop: Annotated[list[StopText], Field(max_length=4), BeforeValidator(_listed)] | None = None
    max_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    min_tokens: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    ignore_eos: bool = False
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=2)] | None = None
    """Not as near to 0 as can be: what logits are divided by must leave them finite."""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    user: Label | None = None
    """A canary's requests of one user go to one version."""

    def sampling(self) -> dict[str, Any]:
        """The fields that go to vLLM under the same names; what was not given is left to vLLM."""
        names = ("temperature", "top_p", "top_k", "min_p", "n", "stop", "min_tokens", "ignore_eos")
        penalties = ("frequency_penalty", "presence_penalty", "repetition_penalty")
        given = {name: getattr(self, name) for name in (*names, *penalties)}
        if self.stream:
            given["stream_options"] = {"include_usage": bool(self.stream_options and self.stream_options.include_usage)}
        if self.response_format:
            given["response_format"] = self.response_format.model_dump(by_alias=True, exclude_none=True)
        return {name: value for name, value in given.items() if value is not None} | {"stream": bool(self.stream)}


class ChatBody(Sampling):
    """A chat to be answered."""

    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    max_completion_tokens: Annotated[int, Field(ge=1, lt=2**31)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    return_tokens_as_token_ids: bool | None = None
    """Whether log-probs name tokens as `token_id:7`; texts of single tokens are not always whole characters."""
    thinking: bool | None = None
    """Whether to reason before the answer; null leaves it to the policy, which does."""
    chat_template_kwargs: TemplateOptions | None = None
    reasoning_effort: Label | None = None
    """As in OpenAI's API; `none` is the same as `thinking: false`."""

    @property
    def thinks(self) -> bool:
        """Whether reasoning is asked for, whichever way."""
        asked = self.thinking
        if asked is None and self.chat_template_kwargs:
            asked = self.chat_template_kwargs.enable_thinking
        if asked is None and self.reasoning_effort:
            asked = self.reasoning_effort != "none"
        return asked is not False

    @model_validator(mode="after")
    def _logprobs_asked(self) -> ChatBody:
        if self.top_logprobs and not self.logprobs:
            raise ValueError("top_logprobs is only given together with logprobs: true")
        return self


class CompletionBody(Sampling):
    """One or several prompts to go on with, as text or token ids."""

    prompt: Text | list[Text] | list[TokenId] | list[list[TokenId]]
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return len(self.prompt) if isinstance(self.prompt, list) and not isinstance(self.prompt[0], int) else 1

    @model_validator(mode="after")
    def _not_empty(self) -> CompletionBody:
        if not self.prompt or any(part in ("", []) for part in self.prompt if isinstance(self.prompt, list)):
            raise ValueError("the prompt is empty")
        return self


class TokenizeBody(Body):
    """A text, or a chat, to be turned into token ids."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    prompt: Text | None = None
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)] | None = None
    thinking: bool | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeBody:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        return self


class Tokens(BaseModel):
    """Token ids of a text or chat."""

    model: str
    tokens: list[int]
    count: int
    max_model_len: int


class FeedbackBody(Body):
    """What a person or a program thinks of an answer."""

    id: Label
    """The answer's `id`."""
    score: Annotated[float, Field(ge=-1, le=1)]
    """From -1, useless, to 1, perfect."""
    comment: Annotated[str, Field(max_length=4096)] | None = None
