"""The system calls that a program under test is refused, as a filter that the kernel applies to its process.

What is refused is what reaches beyond the process: sockets, new processes and programs, signals to others, their
memory and limits, file modes and owners (which Landlock does not cover), mounts and namespaces, shared memory that
no limit counts, and io_uring, which would go around the filter. Threads are allowed.

Source: seccomp(2), and the tables of system calls in Linux 6.1 (asm/unistd_64.h; asm-generic/unistd.h for aarch64).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 1, 22, 2
_CLONE_THREAD = 0x10000
_LOAD, _EQUAL, _AT_LEAST, _BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000

_EVERYWHERE = {
    "pidfd_send_signal": 424, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "pidfd_open": 434,
    "pidfd_getfd": 438, "process_madvise": 440, "mount_setattr": 442, "memfd_secret": 447, "fchmodat2": 452,
    "setxattrat": 463, "removexattrat": 466,
}  # fmt: skip
_ON_BOTH = {
    "shmget": (29, 194), "socket": (41, 198), "execve": (59, 221), "semget": (64, 190), "msgget": (68, 186),
    "truncate": (76, 45), "fchmod": (91, 52), "fchown": (93, 55), "ptrace": (101, 117), "syslog": (103, 116),
    "rt_sigqueueinfo": (129, 138), "setpriority": (141, 140), "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119), "pivot_root": (155, 41), "chroot": (161, 51), "mount": (165, 40),
    "umount2": (166, 39), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "tkill": (200, 130),
    "sched_setaffinity": (203, 122), "mq_open": (240, 180), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "ioprio_set": (251, 30), "migrate_pages": (256, 238), "fchownat": (260, 54),
    "fchmodat": (268, 53), "unshare": (272, 97), "move_pages": (279, 239), "utimensat": (280, 88),
    "rt_tgsigqueueinfo": (297, 240), "perf_event_open": (298, 241), "setns": (308, 268),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272), "sched_setattr": (314, 274),
    "memfd_create": (319, 279), "bpf": (321, 280), "execveat": (322, 281), "userfaultfd": (323, 282),
    "clone": (56, 220), "kill": (62, 129), "prctl": (157, 167), "tgkill": (234, 131), "prlimit64": (302, 261),
    "clone3": (435, 435),
}  # fmt: skip
_X86_64_ONLY = {
    "fork": 57, "vfork": 58, "chmod": 90, "chown": 92, "lchown": 94, "utime": 132, "utimes": 235, "futimesat": 261,
}  # fmt: skip
TABLES: dict[str, dict[str, int]] = {
    "x86_64": {**{name: numbers[0] for name, numbers in _ON_BOTH.items()}, **_X86_64_ONLY, **_EVERYWHERE},
    "aarch64": {**{name: numbers[1] for name, numbers in _ON_BOTH.items()}, **_EVERYWHERE},
}
"""Numbers of the system calls that are refused, always or by their first argument, on the machines that are known."""
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_BY_ARGUMENT = ("clone", "clone3", "kill", "tgkill", "prlimit64", "prctl")


def refuse_system_calls() -> bool:
    """Whether the filter is on from now on, for this process and for good; needs no_new_privs."""
    machine = platform.machine()
    if machine not in TABLES:
        return False
    program = _program(machine, os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    return ctypes.CDLL(None).prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_char_p(header), 0, 0) == 0


def _program(machine: str, own: int) -> bytes:
    """The filter for a process whose id is `own`: what it may do to itself, it may not do to others."""
    calls = TABLES[machine]
    refused = _step(_RETURN, _ERRNO | errno.EPERM)
    argument = _step(_LOAD, _FIRST_ARGUMENT_AT)
    allowed = _step(_RETURN, _ALLOW)
    to_itself = [argument, _step(_EQUAL, own, 0, 1), allowed, refused]
    to_itself_or_0 = [argument, _step(_EQUAL, own, 1, 0), _step(_EQUAL, 0, 0, 1), allowed, refused]
    threads_alone = [argument, _step(_BITS, _CLONE_THREAD, 0, 1), allowed, refused]
    steps = [_step(_LOAD, _ARCHITECTURE_AT), _step(_EQUAL, _AUDIT[machine], 1, 0), _step(_RETURN, _KILL)]
    steps += [_step(_LOAD, _NUMBER_AT), _step(_AT_LEAST, _X32, 0, 1), _step(_RETURN, _KILL)]
    for name, number in calls.items():
        if name not in _BY_ARGUMENT:
            steps += _when(number, [refused])
    steps += _when(calls["clone"], threads_alone)
    steps += _when(calls["clone3"], [_step(_RETURN, _ERRNO | errno.ENOSYS)])  # C libraries then use clone
    steps += _when(calls["kill"], to_itself) + _when(calls["tgkill"], to_itself)
    steps += _when(calls["prlimit64"], to_itself_or_0)
    steps += _when(calls["prctl"], [argument, _step(_EQUAL, _PR_SET_PDEATHSIG, 0, 1), refused, allowed])
    return b"".join([*steps, allowed])


def _when(number: int, then: list[bytes]) -> list[bytes]:
    return [_step(_EQUAL, number, 0, len(then)), *then]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
