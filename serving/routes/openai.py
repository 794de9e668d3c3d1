"""OpenAI's routes: chat, completions, models; and tokenize and feedback beside them."""

from __future__ import annotations

import re
import secrets
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response
from vllm.entrypoints.openai.completion.protocol import CompletionRequest

from serving.aliases import Alias
from serving.answering import Job, respond
from serving.answers import ChatRequest
from serving.catalogue import Snapshot
from serving.engine import longest
from serving.errors import Refusal
from serving.exchange import Exchange
from serving.json_schema import check_schema
from serving.routes.parts import TheExchange, TheService, needs
from serving.schema import Body, ChatBody, CompletionBody, FeedbackBody, Sampling, TokenizeBody, Tokens
from serving.service import Service

router = APIRouter(prefix="/v1", dependencies=[needs("consume")])

_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_NAMED = 20


@router.post("/chat/completions", responses={200: {"content": {"application/json": {}, "text/event-stream": {}}}})
async def chat(body: ChatBody, request: Request, service: TheService, exchange: TheExchange) -> Response:
    """Answer a chat; with `stream: true` as server-sent events."""
    target = service.resolve(body.model, exchange, body.user)
    length = _length(service, body, body.max_completion_tokens or body.max_tokens)
    turns = await service.images.chat(body.messages)
    asked = ChatRequest(
        messages=[],
        model=target.snapshot.id,
        max_completion_tokens=length,
        seed=_seed(body),
        logprobs=body.logprobs,
        top_logprobs=body.top_logprobs or 0,
        return_tokens_as_token_ids=body.return_tokens_as_token_ids,
        # The tags of reasoning are special tokens; they are looked for in the text.
        skip_special_tokens=False,
        request_id=secrets.token_hex(16),
        **body.sampling(),
    ).of(turns, thinking=body.thinks)
    _note(exchange, body)
    job = Job(
        snapshot=target.snapshot,
        sequences=body.n or 1,
        ask=lambda frontend: frontend.chat.answer(asked),
    )
    return await respond(service, job, exchange, request.receive)


@router.post("/completions", responses={200: {"content": {"application/json": {}, "text/event-stream": {}}}})
async def complete(body: CompletionBody, request: Request, service: TheService, exchange: TheExchange) -> Response:
    """Go on with raw prompts, in which control tokens count as such."""
    target = service.resolve(body.model, exchange, body.user)
    length = _length(service, body, body.max_tokens or 16, prompts=body.prompts)
    asked = CompletionRequest(
        prompt=body.prompt,
        model=target.snapshot.id,
        max_tokens=length,
        seed=_seed(body),
        logprobs=body.logprobs,
        request_id=secrets.token_hex(16),
        **body.sampling(),
    )
    _note(exchange, body)
    job = Job(
        snapshot=target.snapshot,
        sequences=body.prompts * (body.n or 1),
        ask=lambda frontend: frontend.completion.answer(asked),
    )
    return await respond(service, job, exchange, request.receive)


@router.post("/tokenize")
async def tokenize(body: TokenizeBody, service: TheService, exchange: TheExchange) -> Tokens:
    """The token ids of a text, or of a chat as the policy is given it; no engine is needed."""
    target = service.resolve(body.model, exchange)
    renderer = await service.renderer(target.snapshot)
    if body.messages is None:
        ids = list(renderer.tokenizer.encode(body.prompt, add_special_tokens=False))
    else:
        turns = await service.images.chat(body.messages)
        ids = renderer.prompt(turns, thinking=body.thinking is not False).token_ids.tolist()
    most = min(service.config.engine.max_model_len, longest(target.snapshot.weights.path))
    return Tokens(model=target.snapshot.id, tokens=ids, count=len(ids), max_model_len=most)


@router.get("/models")
async def models(service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """Every snapshot, loaded or not, and every alias."""
    snapshots = [_snapshot_card(service, one, exchange) for one in service.catalogue.all()]
    aliases = [_alias_card(service, one, exchange) for one in service.aliases.all()]
    return {"object": "list", "data": aliases + snapshots}


@router.get("/models/{name}")
async def model(name: str, service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """One snapshot with its manifest's lineage and its figures, or one alias."""
    alias = service.aliases.get(name)
    if alias is not None and alias.shares:
        return _alias_card(service, alias, exchange)
    snapshot = service.snapshot(name)
    figures = service.figures[snapshot.id].to_json() if snapshot.id in service.figures else None
    return _snapshot_card(service, snapshot, exchange) | {"lineage": snapshot.lineage, "figures": figures}


@router.post("/feedback")
async def feedback(body: FeedbackBody, service: TheService, exchange: TheExchange) -> dict[str, Any]:
    """Say what an answer was worth; it is counted for the snapshot that gave it."""
    snapshot = service.answered.snapshot(body.id)
    if snapshot is None:
        raise Refusal(404, "no answer of that id is remembered; the last 10,000 are", param="id")
    figures = service.figures[snapshot]
    figures.feedback += 1
    figures.score += body.score
    service.metrics.feedback(snapshot, body.score)
    key = exchange.caller.name if exchange.caller else None
    line = {"id": body.id, "snapshot": snapshot, "score": body.score, "comment": body.comment, "key": key}
    service.feedback.append({"time": round(time.time(), 3), **line})
    return {"id": body.id, "model": snapshot}


def _snapshot_card(service: Service, one: Snapshot, exchange: Exchange) -> dict[str, Any]:
    hot = [slot.engine.name for slot in service.pool.slots if slot.holds(one)]
    return {
        "id": one.id,
        "object": "model",
        "created": int(one.created),
        "owned_by": "halyard",
        "parent": f"{one.run}@{one.parent}" if one.parent else None,
        "base": one.base.id if one.base else None,
        "role": one.role,
        "digest": one.digest,
        "accuracy": one.score,
        "state": "hot" if hot else "cold",
        "engines": hot,
        "aliases": service.aliases.leading_to(one),
        **_root(one, exchange),
    }


def _alias_card(service: Service, alias: Alias, exchange: Exchange) -> dict[str, Any]:
    target = service.catalogue.get(f"{alias.run}@{alias.main}")
    return {
        "id": alias.id,
        "object": "model",
        "created": int(target.created if target else service.started),
        "owned_by": "halyard",
        "leads_to": {f"{alias.run}@{version}": share for version, share in alias.shares.items()},
        "pinned": alias.pinned,
        **(_root(target, exchange) if target else {}),
    }


def _root(one: Snapshot, exchange: Exchange) -> dict[str, str]:
    """Where a snapshot lies, for operators: vLLM's benchmark client looks for the tokenizer there."""
    known = exchange.caller is not None and "operate" in exchange.caller.scopes
    return {"root": str(one.weights.path)} if known else {}


def _length(service: Service, body: Sampling, asked: int | None, *, prompts: int = 1) -> int | None:
    """Tokens that each answer may have, within the limits; None for as many as fit.

    Raises:
        Refusal: more is asked for than one request may have.
    """
    limits = service.config.limits
    answers = prompts * (body.n or 1)
    most = min(limits.choices, service.config.engine.max_num_seqs)
    if answers > most:
        raise Refusal(400, f"the request asks for {answers} answers, and {most} are allowed", param="n")
    if asked is not None and asked > limits.max_tokens:
        message = f"the request asks for {asked} tokens an answer, and {limits.max_tokens} are allowed"
        raise Refusal(400, message, param="max_tokens")
    length = asked or min(limits.max_tokens, limits.tokens // answers)
    if length * answers > limits.tokens:
        message = f"{answers} answers of {length} tokens are {answers * length}, and {limits.tokens} are allowed"
        raise Refusal(400, f"{message}; lower n or max_tokens", param="max_tokens")
    if body.response_format and body.response_format.json_schema:
        check_schema(body.response_format.json_schema.schema_)
    return length


def _seed(body: Sampling) -> int:
    """The seed of the request, or a new one: sampling is then not tied to what else runs."""
    return secrets.randbits(31) if body.seed is None else body.seed


def _note(exchange: Exchange, body: Body) -> None:
    """Name the fields that are not served in a header."""
    exchange.ignored = tuple(name for name in body.ignored if _FIELD.fullmatch(name))[:_NAMED]
