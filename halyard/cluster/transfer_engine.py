"""The receiving side of weight transfers: what runs inside vLLM's workers.

vLLM's own weight-transfer interface carries all of it. On CPUs an engine of our own reads a safetensors
file in shared memory, tensor by tensor; between GPUs vLLM's `nccl` and `ipc` engines do the carrying. All
three can also read a snapshot's files, and are wrapped in the same checks: no weight of the model may be
left out of an update, and the checksum of every tensor received can be asked for.

Loading goes through vLLM's layerwise reload, because backends repack weights (on CPUs all linear layers)
and a plain `load_weights` would miss the packed copies.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import safe_open
from torch import nn
from vllm.distributed.weight_transfer import WeightTransferEngineFactory
from vllm.distributed.weight_transfer.base import (
    WeightTransferEngine,
    WeightTransferInitInfo,
    WeightTransferUpdateInfo,
)
from vllm.distributed.weight_transfer.ipc_engine import IPCWeightTransferEngine
from vllm.distributed.weight_transfer.nccl_engine import NCCLWeightTransferEngine
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding
from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload
from vllm.model_executor.model_loader.reload.layerwise import get_layerwise_info
from vllm.model_executor.model_loader.reload.utils import get_layer_params_buffers, get_tensor_load_numel
from vllm.platforms import current_platform

from halyard.cluster.digests import digest
from halyard.cluster.processes import OWNER, die_with_parent
from halyard.cluster.transfer import BACKENDS

Weights = Iterable[tuple[str, torch.Tensor]]


class _Checked(WeightTransferEngine):
    """Adds the checks to a transfer engine; goes before it among the base classes."""

    recording = False
    """Whether the checksum of each tensor is taken as it arrives."""

    def start_weight_update(self) -> None:
        """Take the model apart layer by layer; unfused, unpacked weights may now arrive."""
        self.received: dict[str, str] = {}
        self.tensors = self.bytes = 0
        self._sharing = _shared_parameters(self.model)
        _forget_packed_experts(self.model)
        initialize_layerwise_reload(self.model)

    def update_weights(self, update_info: dict[str, Any]) -> None:
        """Load what arrives, or the safetensors files named, noting each tensor on its way."""
        load = self.model.load_weights
        self.model.load_weights = lambda weights: load(self._noted(weights))  # pyright: ignore
        try:
            if "paths" in update_info:
                self.model.load_weights(_read(update_info["paths"]))  # pyright: ignore[reportCallIssue]
            else:
                super().update_weights(update_info)
        finally:
            del self.model.load_weights

    def finish_weight_update(self) -> None:
        """Put the model together again.

        Raises:
            RuntimeError: weights of the model were not in the update; they are named.
        """
        left_out = _left_out(self.model, self._sharing)
        if left_out:
            raise RuntimeError(f"the update left out {len(left_out)} weights: {', '.join(left_out[:8])}")
        with torch.device(self.device):
            finalize_layerwise_reload(self.model, self.model_config)
            _repack_shared(self._sharing)

    def _noted(self, weights: Weights) -> Iterator[tuple[str, torch.Tensor]]:
        for name, tensor in weights:
            self.tensors += 1
            self.bytes += tensor.nbytes
            if self.recording:
                self.received[name] = digest(tensor)
            yield name, tensor


@dataclass
class Nothing(WeightTransferInitInfo, WeightTransferUpdateInfo):
    """Nothing has to be agreed beforehand, and nothing is carried but the names of files."""


class _NoCarrier(WeightTransferEngine[Nothing, Nothing]):
    init_info_cls = Nothing
    update_info_cls = Nothing

    def init_transfer_engine(self, init_info: Nothing) -> None:  # noqa: ARG002
        return

    def receive_weights(self, update_info: Nothing) -> None:  # noqa: ARG002
        raise ValueError("an update through shared memory names the safetensors files it is in")

    def shutdown(self) -> None:
        return


class SharedMemoryEngine(_Checked, _NoCarrier):
    """Reads safetensors files in shared memory, and nothing else."""


class NcclEngine(_Checked, NCCLWeightTransferEngine):
    """Receives broadcasts from the learner's first rank, GPU to GPU."""


class IpcEngine(_Checked, IPCWeightTransferEngine):
    """Maps the learner's tensors on a GPU that both share."""


_ENGINES: dict[str, type[WeightTransferEngine]] = {
    "shared_memory": SharedMemoryEngine,
    "nccl": NcclEngine,
    "ipc": IpcEngine,
}


class WorkerExtension:
    """Methods that a vLLM worker gains, to be called by `collective_rpc`."""

    weight_transfer_engine: _Checked

    def record_checksums(self, recording: bool) -> None:
        """Take checksums of the tensors of later updates, or no longer."""
        self.weight_transfer_engine.recording = recording

    def received_weights(self) -> tuple[int, int, dict[str, str]]:
        """Tensors and bytes of the last update, and checksums by name where they were taken."""
        engine = self.weight_transfer_engine
        return engine.tensors, engine.bytes, engine.received


def register() -> None:
    """Make our transfer engines known to this process (a `vllm.general_plugins` entry point).

    vLLM calls it in every process that it starts; those of a run also ask to die with their parent.
    """
    for backend, name in BACKENDS.items():
        if name not in WeightTransferEngineFactory._registry:
            WeightTransferEngineFactory.register_engine(name, _ENGINES[backend])
    if os.environ.get(OWNER, str(os.getpid())) != str(os.getpid()):
        die_with_parent()


def _read(paths: Iterable[str]) -> Iterator[tuple[str, torch.Tensor]]:
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a mapping)
                yield name, file.get_tensor(name)


Sharing = dict[int, list[nn.Module]]


def _shared_parameters(model: nn.Module) -> Sharing:
    """The modules that hold each parameter (by its identity), where there is more than one."""
    holders: Sharing = defaultdict(list)
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                holders[id(parameter)].append(module)
    return {key: modules for key, modules in holders.items() if len(modules) > 1}


def _forget_packed_experts(model: nn.Module) -> None:
    """Have fused experts on CPUs pack their weights again with this update.

    vLLM's unquantised MoE method packs only while it has no kernel yet, and would put plain weights where
    the kernel expects packed ones: no error, wrong outputs (`UnquantizedFusedMoEMethod._setup_kernel`,
    vLLM 0.32). May go when vLLM repacks them itself.
    """
    if not current_platform.is_cpu():
        return
    for module in model.modules():
        method = getattr(module, "quant_method", None)
        if getattr(method, "moe_kernel", None) is not None:
            method.moe_kernel = None  # pyright: ignore[reportOptionalMemberAccess]


def _left_out(model: nn.Module, sharing: Sharing) -> list[str]:
    """Names of the modules that were not wholly loaded since the reload began."""
    tied = {module for modules in sharing.values() for module in modules}
    loaded_tied = {id(module) for module in tied if _is_loaded(module)}
    missing = []
    for name, module in model.named_modules():
        if _is_loaded(module):
            continue
        partners = [other for modules in sharing.values() if module in modules for other in modules]
        if not any(id(other) in loaded_tied for other in partners):
            missing.append(name)
    return missing


def _is_loaded(module: nn.Module) -> bool:
    """Whether every element of a module's own parameters has arrived (padding of vocabularies apart)."""
    info = get_layerwise_info(module)
    if not info.can_load():  # complete, and put together already
        return True
    parameters, _ = get_layer_params_buffers(module)
    elements = sum(get_tensor_load_numel(parameter) for parameter in parameters.values())
    if isinstance(module, VocabParallelEmbedding):
        return info.load_numel > 0
    return info.load_numel >= elements


def _repack_shared(sharing: Sharing) -> None:
    """Pack again the modules that share a parameter: only one of them was loaded, the other kept old copies.

    The output layer tied to the embedding is the one that matters: on CPUs it multiplies by a packed copy.
    """
    for modules in sharing.values():
        for module in modules:
            method = getattr(module, "quant_method", None)
            if method is not None and hasattr(method, "process_weights_after_loading"):
                method.process_weights_after_loading(module)
