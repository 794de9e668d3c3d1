"""vLLM's chat and completion classes with our prompts: the very token ids that the policy was trained on.

vLLM does the rest: sampling parameters, log-probs, stops, JSON schemas, streaming, usage. Its own way from
messages to ids is not taken, because a chat template turns `<|im_end|>` in a user's text into a control token;
`model.render.Renderer` writes it as plain characters.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self

from pydantic import PrivateAttr
from vllm import TokensPrompt
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion
from vllm.entrypoints.openai.models.serving import OpenAIServingModels
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
from vllm.lora.request import LoRARequest
from vllm.renderers.inputs.preprocess import parse_model_prompt

from model.render import ChatMessage, Rendered, Renderer
from model.vllm_plugin import to_vllm_prompt
from serving.catalogue import Snapshot

Answer = dict[str, Any] | AsyncGenerator[str, None] | ErrorResponse
"""A whole body, a stream of SSE events, or vLLM's refusal."""

_PRIVATE = ("prompt_logprobs", "prompt_token_ids", "prompt_text", "kv_transfer_params", "ec_transfer_params", "metrics")


class ChatRequest(ChatCompletionRequest):
    """vLLM's request with our chat beside it: the turns with decoded images, and the thinking switch."""

    _turns: Sequence[ChatMessage] = PrivateAttr(default=())
    _thinking: bool = PrivateAttr(default=True)

    def of(self, turns: Sequence[ChatMessage], *, thinking: bool) -> ChatRequest:
        """The request, to be answered for these turns."""
        self._turns, self._thinking = turns, thinking
        return self


class Named:
    """Answers name the snapshot that they are of: the engine's, or an adapter over it."""

    models: OpenAIServingModels
    system_fingerprint: str | None
    adapter: LoRARequest | None = None

    def call(self, snapshot: Snapshot) -> None:
        """From now on, answers are of this snapshot."""
        self.models.base_model_paths[0].name = snapshot.id
        self.system_fingerprint = snapshot.fingerprint

    def over(self, snapshot: Snapshot, lora: LoRARequest) -> Self:
        """The same, but answering with an adapter over the engine's snapshot."""
        adapted = copy.copy(self)
        adapted.adapter, adapted.system_fingerprint = lora, snapshot.fingerprint
        return adapted

    def _maybe_get_adapters(self, request: Any, supports_default_mm_loras: bool = False) -> LoRARequest | None:  # noqa: ARG002
        """The adapter to answer with, which was settled before vLLM is asked; the name is vLLM's."""
        return self.adapter

    def _is_model_supported(self, model_name: str | None) -> bool:
        """Whether a request is for what answers it; the name is vLLM's."""
        return model_name == self.models.model_name(self.adapter)


class Chat(Named, OpenAIServingChat):
    """Answers chats with the engine's snapshot."""

    policy_renderer: Renderer

    async def answer(self, request: ChatRequest) -> Answer:
        """The answer to a chat."""
        answer = await self.create_chat_completion(request)
        if isinstance(answer, ErrorResponse | AsyncGenerator):
            return answer
        body = _tidy(answer.model_dump(exclude_none=True))
        for choice in body["choices"]:
            message = choice["message"]
            message.setdefault("content", None)
            if "reasoning" in message:
                message["reasoning_content"] = message.pop("reasoning")
        return body

    async def render_chat_request(self, request: Any) -> Any:
        """No conversation to echo, and the prompt as the engine takes it; the name is vLLM's."""
        self._preflight(request.n or 1)
        prompt = await self._prompt(request)
        (parsed,) = [parse_model_prompt(self.model_config, prompt)]
        params = self.renderer.default_cmpl_tok_params
        return [], await self.renderer.render_cmpl_async([parsed], params)

    def _engine_reasoning_kwargs(
        self, request: Any, parser: Any, chat_template_kwargs: Any, prompt_token_ids: Any
    ) -> dict[str, Any]:
        """A JSON schema binds the answer alone: what follows the reasoning, or all in direct mode."""
        arguments = super()._engine_reasoning_kwargs(request, parser, chat_template_kwargs, prompt_token_ids)
        return arguments | {"reasoning_ended": not request._thinking}

    async def _prompt(self, request: ChatRequest) -> Any:
        rendered = await self._render(request)
        ids = rendered.token_ids.tolist()
        if rendered.images:
            return to_vllm_prompt(ids, rendered.images)
        return TokensPrompt(prompt_token_ids=ids)

    async def _render(self, request: ChatRequest) -> Rendered:
        """The prompt; images take time, so they are rendered beside the event loop."""
        images = any(turn.images for turn in request._turns)
        if images:
            return await asyncio.to_thread(self.policy_renderer.prompt, request._turns, thinking=request._thinking)
        return self.policy_renderer.prompt(request._turns, thinking=request._thinking)


class Completion(Named, OpenAIServingCompletion):
    """Goes on with raw prompts, as they are."""

    async def answer(self, request: CompletionRequest) -> Answer:
        """The answer to one or several prompts."""
        answer = await self.create_completion(request)
        if isinstance(answer, ErrorResponse | AsyncGenerator):
            return answer
        return _tidy(answer.model_dump(exclude_none=True))


def _tidy(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what only vLLM's own peers read."""
    for part in (body, *body["choices"]):
        for name in _PRIVATE:
            part.pop(name, None)
    for choice in body["choices"]:
        choice.setdefault("logprobs", None)
    return body
