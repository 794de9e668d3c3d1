"""What a process does to itself before it runs a program that no one has read."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from typing import NamedTuple

from rewards.sandbox.landlock import see_only
from rewards.sandbox.seccomp import refuse_system_calls

MIB = 2**20
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_NEW_USER, _NEW_NETWORK, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000
_CAPABILITIES_VERSION_3, _CAPSET = 0x20080522, {"x86_64": 126, "aarch64": 91}


class Limits(NamedTuple):
    """What one run of a program may take: seconds of processor time, memory, output, and files in its folder."""

    seconds: float = 2.0
    memory_mib: int = 512
    output_kib: int = 1024
    files_mib: int = 32
    most_files: int = 100


def die_with_parent() -> None:
    """This process is killed when its parent ends, however it ends."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def leave_namespaces() -> bool:
    """Whether this process and its children have a network of their own with nothing in it, and shared memory.

    Together with a user namespace, in which a process of root has no power over anything outside; without one
    where that is not allowed.
    """
    libc = ctypes.CDLL(None)
    return any(libc.unshare(flags | _NEW_NETWORK | _NEW_IPC) == 0 for flags in (_NEW_USER, 0))


def be_first_to_go() -> None:
    """When memory runs out, the kernel ends this process before others."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 (starts quicker)
        file.write("1000")


def confine(limits: Limits, folder: str) -> list[str]:
    """The barriers that hold from now on: "limits", and of "landlock" and "seccomp" those that the kernel gives."""
    _limit(limits)
    libc = ctypes.CDLL(None)
    _drop_capabilities(libc)
    barriers = ["limits"]
    if sys.platform == "linux" and libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        if see_only(folder):
            barriers.append("landlock")
        if refuse_system_calls():
            barriers.append("seccomp")
    return barriers


def _limit(limits: Limits) -> None:
    whole_seconds = int(limits.seconds) + 2  # the last resort: the warden looks at processor time much closer
    for kind, value in (
        (resource.RLIMIT_CPU, whole_seconds),
        (resource.RLIMIT_AS, limits.memory_mib * MIB),
        (resource.RLIMIT_FSIZE, limits.files_mib * MIB),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
    ):
        _, most = resource.getrlimit(kind)
        lowered = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (lowered, lowered))


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    number = _CAPSET.get(os.uname().machine)
    if number is not None:
        libc.syscall(number, struct.pack("Ii", _CAPABILITIES_VERSION_3, 0), bytes(24))
