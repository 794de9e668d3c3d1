"""vLLM's scheduler, with one fault mended (`EngineArgs.scheduler_cls`)."""

from __future__ import annotations

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.output import SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler


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


class EngineScheduler(_KeepsImages):
    """For CPUs."""


class AsyncEngineScheduler(_KeepsImages, AsyncScheduler):
    """For GPUs, where vLLM schedules a step while the one before runs."""
