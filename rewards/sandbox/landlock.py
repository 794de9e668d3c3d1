"""The part of the file system that a program under test sees: Python's own library to read, one folder to write.

Source: landlock(7). Works for any user, in containers too, on Linux from 5.13 with Landlock among its security
modules; from 6.7 on it also refuses TCP, from 6.12 signals and abstract sockets.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sysconfig

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION, _BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 5, 1 << 8, 1 << 14
_READ = _READ_FILE | _READ_DIR
_FOLDER = _READ | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG
"""No subfolders, links, pipes or sockets: what is in the folder can be counted and removed without surprises."""
_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_NETWORK_FROM, _TCP = 4, 0b11
_SCOPE_FROM, _SCOPES = 6, 0b11

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")
_PYTHON = (sysconfig.get_path("stdlib"), str(sysconfig.get_config_var("LIBDIR") or "/usr/lib"))
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_FILES = ("/etc/ld.so.cache", "/etc/localtime", *_DEVICES)


def see_only(folder: str) -> bool:
    """Whether files other than those of Python and of `folder` are out of reach from now on; needs no_new_privs."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    handled = _HANDLED[max(known for known in _HANDLED if known <= version)]
    network = _TCP if version >= _NETWORK_FROM else 0
    scopes = _SCOPES if version >= _SCOPE_FROM else 0
    attributes = struct.pack("QQQ", handled, network, scopes)
    rules = libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return False
    granted = [_grant(libc, rules, path, _READ) for path in (*_LIBRARIES, *_PYTHON)]
    granted += [_grant(libc, rules, path, _READ_FILE) for path in _FILES]
    granted += [
        _grant(libc, rules, "/dev/null", _WRITE_FILE),
        _grant(libc, rules, folder, (_FOLDER | _TRUNCATE) & handled),
    ]
    held = all(granted) and libc.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return held


def _grant(libc: ctypes.CDLL, rules: int, path: str, access: int) -> bool:
    """Allow what is beneath a path; a path that is not there needs no rule."""
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return libc.syscall(_ADD_RULE, rules, _BENEATH, struct.pack("=Qi", access, at), 0) == 0
    finally:
        os.close(at)
