"""vLLM's scheduler, with one fault mended and, on CPUs, answers sent whole (`EngineArgs.scheduler_cls`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from vllm.sampling_params import RequestOutputKind
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs
from vllm.v1.outputs import LogprobsLists, ModelRunnerOutput
from vllm.v1.request import Request, RequestStatus


class _KeepsImages(Scheduler):
    """Workers get the images of every new request, also where its prompt's keys and values are cached.

    vLLM 0.32 leaves them out then (`strip_covered_mm_data`). When the caches are dropped for new weights,
    the request in flight has to encode its image again, has none, and the engine dies with an "Encoder
    cache miss". May go when vLLM sends images again to requests that it resumes.
    """

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        output = super().schedule(throttle_prefills)
        for request in output.scheduled_new_reqs:
            request.mm_features = self.requests[request.req_id].mm_features
        return output


class _SendsWhole(Scheduler):
    """An answer that is wanted whole leaves the engine core in one message, not in one a token.

    Where a token of a tiny policy takes 0.1 ms, writing, sending and reading its message is a third of the work. What
    is held back goes out before a pause is over, so that the tokens carry the version of the weights they were sampled
    under: vLLM counts a pause as complete only when the scheduler has nothing more to do.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held: dict[int, dict[str, list[EngineCoreOutput]]] = {}
        """Outputs by client and request, in order."""

    def has_requests(self) -> bool:
        due = self.pause_state == PauseState.PAUSED_ALL and any(self._held.values())
        return due or super().has_requests()

    def update_from_output(
        self, scheduler_output: SchedulerOutput, model_runner_output: ModelRunnerOutput
    ) -> dict[int, EngineCoreOutputs]:
        by_client = super().update_from_output(scheduler_output, model_runner_output)
        for client, outputs in by_client.items():
            held = self._held.setdefault(client, {})
            outputs.outputs = [whole for one in outputs.outputs if (whole := self._take(one, held))]
        if self.pause_state == PauseState.PAUSED_ALL:
            for client, held in self._held.items():
                by_client.setdefault(client, EngineCoreOutputs()).outputs += [_joined(held.pop(i)) for i in list(held)]
        return {client: one for client, one in by_client.items() if _says_something(one)}

    def finish_requests(self, request_ids: str | Iterable[str] | None, finished_status: RequestStatus) -> list[Request]:
        ended = super().finish_requests(request_ids, finished_status)
        for request in ended:
            self._held.get(request.client_index, {}).pop(request.request_id, None)
        return ended

    def _take(self, output: EngineCoreOutput, held: dict[str, list[EngineCoreOutput]]) -> EngineCoreOutput | None:
        """The output to send now, with what was held back before; None if it is held back, too."""
        if output.finish_reason is None and self._is_wanted_whole(output.request_id):
            held.setdefault(output.request_id, []).append(output)
            return None
        return _joined([*held.pop(output.request_id, ()), output])

    def _is_wanted_whole(self, request_id: str) -> bool:
        """Whether who asked looks at nothing but the finished answer; stop strings are looked for on the way."""
        params = self.requests[request_id].sampling_params
        return params is not None and params.output_kind == RequestOutputKind.FINAL_ONLY and not params.stop


class EngineScheduler(_SendsWhole, _KeepsImages):
    """For CPUs."""


class AsyncEngineScheduler(_KeepsImages, AsyncScheduler):
    """For GPUs, where vLLM schedules a step while the one before runs."""


def _joined(outputs: list[EngineCoreOutput]) -> EngineCoreOutput:
    """Consecutive outputs of a request as one: what comes once is in the first, how it ended in the last."""
    first, last = outputs[0], outputs[-1]
    if first is last:
        return first
    first.new_token_ids = [token for one in outputs for token in one.new_token_ids]
    first.new_logprobs = _joined_logprobs([one.new_logprobs for one in outputs if one.new_logprobs is not None])
    first.finish_reason, first.stop_reason = last.finish_reason, last.stop_reason
    first.num_nans_in_logits = last.num_nans_in_logits
    return first


def _joined_logprobs(parts: list[LogprobsLists]) -> LogprobsLists | None:
    if not parts:
        return None
    return LogprobsLists(
        np.concatenate([one.logprob_token_ids for one in parts]),
        np.concatenate([one.logprobs for one in parts]),
        np.concatenate([one.sampled_token_ranks for one in parts]),
    )


def _says_something(outputs: EngineCoreOutputs) -> bool:
    return bool(outputs.outputs or outputs.finished_requests or outputs.scheduler_stats)
