"""DeepSpeed's ZeRO as the learner uses it: set up, and where a rank's share of each tensor lies.

Nothing else in Halyard looks into DeepSpeed's optimisers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import deepspeed
import torch
from deepspeed.utils import safe_get_local_grad
from torch import distributed, nn

from configs.cluster import LearnerConfig
from configs.training import OptimizerConfig
from halyard.cluster.optimizer import adamw

if TYPE_CHECKING:
    from halyard.cluster.training_module import TrainingModule

_PERSISTENT_ELEMENTS = 10_000
"""Under ZeRO-3 smaller tensors stay whole on every rank: gathering them costs more than it saves."""
_BUCKET_ELEMENTS = 50_000_000


def stage(config: LearnerConfig) -> int:
    """The ZeRO stage that DeepSpeed runs.

    In bfloat16, stages 0 and 1 run as 2: it is the first in which DeepSpeed has float32 weights for the
    optimiser and adds up gradients in float32 in the same way on any number of ranks.
    """
    return max(config.zero_stage, 2) if config.dtype == "bfloat16" else config.zero_stage


def initialize(module: TrainingModule, learner: LearnerConfig, optimizer: OptimizerConfig) -> deepspeed.DeepSpeedEngine:
    """The DeepSpeed engine around `module`, with a fresh AdamW."""
    settings = _settings(module, learner) | {"gradient_clipping": optimizer.max_grad_norm}
    engine, *_ = deepspeed.initialize(
        model=module,
        optimizer=adamw(module.named_weights(), optimizer),  # pyright: ignore[reportArgumentType]
        config=settings,
    )
    return engine


def initialize_frozen(module: nn.Module, learner: LearnerConfig) -> nn.Module:
    """A module for forward passes only: whole on every rank, or under ZeRO-3 split over the ranks."""
    module.requires_grad_(False)
    if stage(learner) < 3:
        return module
    engine: Any = deepspeed.initialize(model=module, config=_settings(module, learner))[0]
    return engine.module


def adam(engine: deepspeed.DeepSpeedEngine) -> torch.optim.AdamW:
    """The AdamW inside."""
    return engine.basic_optimizer  # pyright: ignore[reportReturnType]


def _settings(module: nn.Module, learner: LearnerConfig) -> dict[str, Any]:
    elements = sum(parameter.numel() for parameter in module.parameters())
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "bf16": {"enabled": learner.dtype == "bfloat16"},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": {
            "stage": stage(learner),
            "overlap_comm": learner.gpus > 0,
            "contiguous_gradients": True,
            "reduce_bucket_size": min(elements, _BUCKET_ELEMENTS),
            "allgather_bucket_size": min(elements, _BUCKET_ELEMENTS),
            "stage3_param_persistence_threshold": _PERSISTENT_ELEMENTS,
        },
        "steps_per_print": None,
    }


def world_size() -> int:
    """Number of learner ranks."""
    return distributed.get_world_size()


def rank() -> int:
    """Number of this learner rank, from 0."""
    return distributed.get_rank()


def shape(parameter: nn.Parameter) -> torch.Size:
    """Shape of a parameter, also while ZeRO-3 has split it."""
    return torch.Size(getattr(parameter, "ds_shape", parameter.shape))


@contextlib.contextmanager
def whole(parameter: nn.Parameter, *, modify: bool = False) -> Iterator[torch.Tensor]:
    """The whole tensor, on every rank, for the block; under ZeRO-3 all ranks must enter together.

    With `modify`, what the block writes into it is kept; all ranks must write the same.
    """
    if not hasattr(parameter, "ds_id"):
        yield parameter.data
        return
    with deepspeed.zero.GatheredParameters([parameter], modifier_rank=0 if modify else None):
        yield parameter.data


def squared_gradient_norms(parameters: Sequence[nn.Parameter]) -> torch.Tensor:
    """Squared 2-norms [parameters], float64, of the step's whole gradients, after the last backward pass.

    All ranks get the same numbers: each adds up the part of the gradients that it holds.
    """
    shares = [_gradient_share(parameter) for parameter in parameters]
    present = [index for index, share in enumerate(shares) if share is not None and share.numel()]
    squares = torch.zeros(len(parameters), dtype=torch.float64, device=parameters[0].device)
    if present:
        norms = torch._foreach_norm([shares[index] for index in present])  # pyright: ignore
        squares[present] = torch.stack(list(norms)).double().square()
    distributed.all_reduce(squares)
    replicas = [world_size() if _is_replicated(parameter) else 1 for parameter in parameters]
    return squares / torch.tensor(replicas, device=squares.device)


def _is_replicated(parameter: nn.Parameter) -> bool:
    return not hasattr(parameter, "ds_id") and not hasattr(parameter, "_hp_mapping")


def _gradient_share(parameter: Any) -> torch.Tensor | None:
    if hasattr(parameter, "ds_id"):
        return safe_get_local_grad(parameter)
    if not hasattr(parameter, "_hp_mapping"):
        return parameter.grad
    mapping = parameter._hp_mapping
    return None if mapping is None else mapping.get_lp_grad_fragment(parameter._index_in_param_group)


class MasterState:
    """The float32 weights and Adam's moments behind each trained parameter, whichever rank holds them."""

    MOMENTS = ("exp_avg", "exp_avg_sq")

    def __init__(self, engine: deepspeed.DeepSpeedEngine) -> None:
        self._zero: Any = engine.optimizer
        self._state: dict[torch.Tensor, dict[str, torch.Tensor]] = adam(engine).state

    def gather(self, parameter: nn.Parameter, moment: str | None) -> torch.Tensor:
        """The whole float32 weight, or one of its moments, on every rank; all ranks must ask together."""
        whole = torch.zeros(shape(parameter), dtype=torch.float32, device=parameter.device)
        part = self._part(parameter, moment)
        if part is not None and not (_is_replicated(parameter) and rank()):
            values, start = part
            whole.view(-1)[start : start + len(values)] = values
        # As integers: one rank has the number and the others 0, and -0.0 stays what it is.
        distributed.all_reduce(whole.view(torch.int32))
        return whole

    def restore(self, parameter: nn.Parameter, moment: str | None, whole: torch.Tensor) -> None:
        """Take this rank's part of a whole float32 weight or moment."""
        part = self._part(parameter, moment)
        if part is not None:
            values, start = part
            values.copy_(whole.view(-1)[start : start + len(values)])

    def set_step(self, step: int) -> None:
        """Let Adam correct its bias as after `step` steps."""
        for state in self._state.values():
            state["step"] = torch.full_like(state["step"], float(step))

    def _part(self, parameter: Any, moment: str | None) -> tuple[torch.Tensor, int] | None:
        """This rank's values, flat and in place, and where in the flat parameter they start."""
        if hasattr(parameter, "ds_id"):
            optimizer = parameter._z3_optimizer
            group, offset, count = optimizer.grad_position[optimizer.get_param_id(parameter)]
            flat, start = optimizer.fp32_partitioned_groups_flat[group], rank() * count
            count = max(0, min(count, parameter.ds_numel - start))
        elif hasattr(parameter, "_hp_mapping"):
            mapping = parameter._hp_mapping
            if mapping is None:
                return None
            flat = self._zero.single_partition_of_fp32_groups[mapping.param_group_index]
            offset, start = mapping.hp_fragment_address.start, mapping.lp_fragment_address.start
            count = mapping.lp_fragment_address.numel
        else:
            flat, offset, start, count = parameter, 0, 0, parameter.numel()
        held = flat.data if moment is None else self._moments(flat)[moment]
        return held.view(-1).narrow(0, offset, count), start

    def _moments(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """AdamW's state of a tensor; before the first step, as that step would begin it."""
        if not self._state.get(flat):
            zeros = {moment: torch.zeros_like(flat.data) for moment in self.MOMENTS}
            self._state[flat] = {"step": torch.zeros((), device=flat.device), **zeros}
        return self._state[flat]
