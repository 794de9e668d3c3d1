"""vLLM's chat and completion classes with our prompts: the very token ids that the policy was trained on.

vLLM does the rest: sampling parameters, log-probs, stops, JSON schemas, streaming, usage. Its own way from
messages to ids is not taken, because a chat template turns `<|im_end|>` in a user's text into a control token;
`model.render.Renderer` writes it as plain characters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from pydantic import PrivateAttr
from vllm import TokensPrompt
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
from vllm.entrypoints.openai.completion.protocol import CompletionRequest
from vllm.entrypoints.openai.completion.serving import OpenAIServingCompletion
from vllm.entrypoints.serve.engine.protocol import ErrorResponse
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


class Chat(OpenAIServingChat):
    """Answers chats with the engine's snapshot."""

    policy_renderer: Renderer

    def call(self, snapshot: Snapshot) -> None:
        """From now on, answers are of this snapshot."""
        self.models.base_model_paths[0].name = snapshot.id
        self.system_fingerprint = snapshot.fingerprint

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


class Completion(OpenAIServingCompletion):
    """Goes on with raw prompts, as they are."""

    def call(self, snapshot: Snapshot) -> None:
        """From now on, answers are of this snapshot."""
        self.models.base_model_paths[0].name = snapshot.id
        self.system_fingerprint = snapshot.fingerprint

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
