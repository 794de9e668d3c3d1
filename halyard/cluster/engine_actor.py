"""One engine: a Ray actor around vLLM's AsyncLLM. Token ids in, token ids and log-probs out.

The actor's methods are async and hundreds of them run at once. vLLM's own processes (engine core,
worker) are its children and die with it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halyard.cluster import engine_options, processes
from halyard.cluster.origin import check_origin
from halyard.cluster.types import Completion, EngineStats, GenerationRequest
from halyard.errors import EngineError, RequestError

if TYPE_CHECKING:
    from PIL.Image import Image
    from vllm import RequestOutput, SamplingParams
    from vllm.distributed.weight_transfer.base import WeightTransferInitRequest, WeightTransferUpdateRequest
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.engine.output_processor import RequestOutputCollector


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """What an engine actor is started with.

    `arguments` go to vLLM's `AsyncEngineArgs`; `environment` is set before vLLM is imported.
    """

    name: str
    path: Path
    version: int
    log: Path
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]


class EngineActor:
    """The process of one engine."""

    def __init__(self, spec: EngineSpec, place: Mapping[str, str]) -> None:
        """`place` is the environment that belongs to where the actor sits: its threads and its GPUs."""
        processes.send_output_to(spec.log)
        os.environ.update(spec.environment)
        os.environ.update(place)
        os.environ[processes.OWNER] = str(os.getpid())
        self._spec = spec
        self._llm: AsyncLLM | None = None
        self._numbers = itertools.count()
        self._door = asyncio.Lock()
        self._pauses = 0
        self._tokens = 0
        self._in_flight = 0

    async def start(self) -> list[int]:
        """Start vLLM on the policy in the spec's folder; returns the process ids: this one and vLLM's."""
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM

        check_origin()
        try:
            arguments = AsyncEngineArgs(
                model=str(self._spec.path),
                structured_outputs_config=StructuredOutputsConfig(**engine_options.STRUCTURED),
                **self._spec.arguments,
            )
            self._llm = AsyncLLM.from_engine_args(arguments)
            await self._llm.update_weight_version(str(self._spec.version))
        except Exception as error:
            raise EngineError(self._tell("could not start", error)) from None
        return processes.family(os.getpid())

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        """One answer for each of the request's seeds, in their order.

        Requests reach vLLM in the order in which they came here, however long their images take.
        """
        self._in_flight += len(request.seeds)
        try:
            async with self._door:
                prompt = await self._render(request.token_ids, request.images)
                samples = [await self._send(prompt, _params(request, seed)) for seed in request.seeds]
            outputs = await asyncio.gather(*map(self._answer, samples))
        finally:
            self._in_flight -= len(request.seeds)
        completions = tuple(map(_completion, outputs, request.seeds))
        self._tokens += sum(len(completion.token_ids) for completion in completions)
        return completions

    async def score(self, token_ids: Sequence[int], images: Sequence[Image]) -> list[float]:
        """Log-probs of given tokens, in nats, each predicted from those before it; 0 for the first."""
        from vllm import SamplingParams

        prompt = await self._render(token_ids, images)
        params = SamplingParams(max_tokens=1, prompt_logprobs=0, temperature=1.0)
        output = await self._answer(await self._send(prompt, params))
        found = output.prompt_logprobs or []
        pairs = zip(token_ids, found, strict=True)
        return [entry[token].logprob if entry is not None else 0.0 for token, entry in pairs]

    async def pause(self) -> None:
        """Hold all requests, dropping every cache of what the current weights computed; may be nested."""
        self._pauses += 1
        if self._pauses == 1:
            await self._live().pause_generation(mode="keep", clear_cache=True)

    async def resume(self) -> None:
        """Go on with the requests held, when the outermost pause ends and all that came before are with vLLM."""
        async with self._door:
            self._pauses -= 1
            if self._pauses == 0:
                await self._live().resume_generation()

    async def load_files(self, paths: Sequence[str], version: int) -> int:
        """Take the weights in safetensors files; returns how many tensors they had. Pause around it."""
        from vllm.distributed.weight_transfer.base import WeightTransferUpdateRequest

        await self.start_weight_update()
        await self.update_weights(WeightTransferUpdateRequest(update_info={"paths": list(paths)}))
        await self.finish_weight_update()
        await self.update_weight_version(str(version))
        return (await self.received())[0]

    # These five have the names and arguments that vLLM's trainer side calls (RayVLLMWeightSyncClient).

    async def init_weight_transfer_engine(self, request: WeightTransferInitRequest) -> None:
        """Shake hands with the trainer."""
        await self._updating(self._live().init_weight_transfer_engine(request))

    async def start_weight_update(self) -> None:
        """Make the model ready for new weights."""
        await self._updating(self._live().start_weight_update())

    async def update_weights(self, request: WeightTransferUpdateRequest) -> None:
        """Receive weights."""
        await self._updating(self._live().update_weights(request))

    async def finish_weight_update(self) -> None:
        """Put the new weights to use."""
        await self._updating(self._live().finish_weight_update())

    async def update_weight_version(self, version: str) -> None:
        """Name the weights: tokens sampled from now on carry this version."""
        await self._live().update_weight_version(version)

    async def record_checksums(self, recording: bool) -> None:
        """Take checksums of the tensors of later updates, or no longer."""
        await self._live().collective_rpc("record_checksums", args=(recording,))

    async def received(self) -> tuple[int, int, dict[str, str]]:
        """Tensors and bytes of the last update, and checksums by name where they were taken.

        Raises:
            EngineError: the processes that the policy is spread over received different weights.
        """
        first, *others = await self._live().collective_rpc("received_weights")
        if any(other != first for other in others):
            raise EngineError(f"the processes of {self._spec.name} received different weights in one update")
        return first

    async def stats(self) -> EngineStats:
        """What this engine has done and is doing."""
        running = min(self._in_flight, self._spec.arguments["max_num_seqs"])
        return EngineStats(tokens=self._tokens, running=running, waiting=self._in_flight - running)

    async def health(self) -> None:
        """Nothing; an engine whose core has died raises EngineError."""
        if self._live().errored:
            raise EngineError(f"{self._spec.name} died. Its log: {self._spec.log}")

    async def _updating(self, call: Any) -> None:
        try:
            await call
        except Exception as error:
            raise EngineError(self._tell("could not take new weights", error)) from None

    def _live(self) -> AsyncLLM:
        if self._llm is None:
            raise EngineError(f"{self._spec.name} has not been started")
        return self._llm

    async def _render(self, token_ids: Sequence[int], images: Sequence[Image]) -> Any:
        """The prompt as vLLM's engine takes it, processed once for all its samples."""
        from vllm import TokensPrompt
        from vllm.renderers.inputs.preprocess import parse_model_prompt

        llm = self._live()
        prompt: Any = TokensPrompt(prompt_token_ids=list(token_ids))
        if images:
            from model.vllm_plugin import to_vllm_prompt

            prompt = to_vllm_prompt(tuple(token_ids), tuple(images))
        try:
            parsed = parse_model_prompt(llm.model_config, prompt)
            rendered: Any
            (rendered,) = await llm.renderer.render_cmpl_async([parsed], llm.renderer.default_cmpl_tok_params)
        except Exception as error:
            raise _kind(error)(self._tell("cannot take a prompt", error)) from None
        if list(rendered["prompt_token_ids"]) != list(token_ids):
            raise EngineError(
                f"{self._spec.name} would run on other token ids than it was given: {len(token_ids)} came in, "
                f"{len(rendered['prompt_token_ids'])} came out of vLLM's processor. The engine and the learner must "
                "see the same ids; check the model's processor."
            )
        return rendered

    async def _send(self, prompt: Any, params: SamplingParams) -> RequestOutputCollector:
        """Give vLLM a request; what it answers will be in the collector."""
        from vllm.sampling_params import RequestOutputKind

        params.output_kind = RequestOutputKind.FINAL_ONLY
        try:
            return await self._live().add_request(str(next(self._numbers)), prompt, params)
        except Exception as error:
            raise _kind(error)(self._tell("refused a request", error)) from None

    async def _answer(self, sample: RequestOutputCollector) -> Any:
        """The finished output of a request; cancelling the wait gives the request up."""
        try:
            return await sample.get()
        except asyncio.CancelledError:
            await self._live().abort(sample.request_id, internal=True)
            raise
        except Exception as error:
            raise EngineError(self._tell("died while it was generating", error)) from None

    def _tell(self, what: str, error: Exception) -> str:
        cause = error.__cause__ or error
        return f"{self._spec.name} {what}: {type(cause).__name__}: {cause}. Its log: {self._spec.log}"


def _kind(error: Exception) -> type[EngineError]:
    """Whether vLLM refused a request, which its grammars do with a ValueError, or failed at it."""
    from vllm.exceptions import VLLMClientError

    return RequestError if isinstance(error, VLLMClientError | ValueError) else EngineError


def _params(request: GenerationRequest, seed: int) -> SamplingParams:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    schema = request.json_schema
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        max_tokens=request.max_tokens,
        seed=seed,
        logprobs=0,
        flat_logprobs=True,
        detokenize=False,
        structured_outputs=None if schema is None else StructuredOutputsParams(json=dict(schema)),
    )


def _completion(output: RequestOutput, seed: int) -> Completion:
    answer: Any = output.outputs[0]
    if answer.finish_reason not in ("stop", "length"):
        raise EngineError(f"a request ended with {answer.finish_reason!r}, where 'stop' or 'length' was expected")
    return Completion(
        prompt_token_ids=tuple(output.prompt_token_ids or ()),
        token_ids=tuple(answer.token_ids),
        logprobs=tuple(answer.logprobs.logprobs),
        finish_reason=answer.finish_reason,
        spans=tuple((span.start, span.end, int(span.version)) for span in answer.weight_versions or ()),
        seed=seed,
    )
