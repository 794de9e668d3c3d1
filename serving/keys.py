"""API keys: who may ask for answers, and who may change what is served.

    # name   scopes            key, or its SHA-256
    alice    consume           sk-4f1c...
    ops      consume,operate   sha256:9b74c9897bac770ffc029102a200c5de...

The file is read again when it changes, so that keys are given and taken without a restart. Keys are compared
by their SHA-256 in constant time, and appear nowhere but in this file.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from halyard.errors import ConfigError

Scope = Literal["consume", "operate"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

log = logging.getLogger("halyard.serving")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST = re.compile(r"sha256:([0-9a-fA-F]{64})")
_SHORTEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sends a request: a key's name, never the key, and what it may do."""

    name: str
    scopes: frozenset[str]


LOCAL = Caller(name="local", scopes=frozenset(SCOPES))
"""Who sends requests to a service without keys, which listens on loopback alone."""


def is_loopback(host: str) -> bool:
    """Whether a host, by its name or address, is this machine and reached from it alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    caller: Caller


class Keys:
    """The keys in a file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises: ConfigError where the file is missing, empty or wrong; the message names the line."""
        self._path = path
        self._stamp = self._look()
        self._keys = _read(path)

    def caller(self, key: str) -> Caller | None:
        """Whose key this is; None when it is nobody's. All keys are compared, whichever fits."""
        self._refresh()
        digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
        found = None
        for one in self._keys:
            if hmac.compare_digest(one.digest, digest):
                found = one.caller
        return found

    def _refresh(self) -> None:
        """Read the file again if it changed; a damaged one leaves the keys as they were."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = _read(self._path)
        except ConfigError as error:
            log.error("the keys stay as they were: %s", error)

    def _look(self) -> object:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(path: Path) -> Sequence[_Key]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"the API keys in {path} cannot be read: {reason}") from None
    places = [(number, line.split("#")[0].split()) for number, line in enumerate(lines, start=1)]
    keys = [_key(words, f"{path}:{number}") for number, words in places if words]
    if not keys:
        raise ConfigError(f"{path} has no keys; expected lines such as: alice consume sk-...")
    names = [key.caller.name for key in keys]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"{path} has two keys named {min(twice)}; every key needs a name of its own")
    return keys


def _key(words: list[str], where: str) -> _Key:
    if len(words) != 3:
        raise ConfigError(f"{where}: expected NAME SCOPES KEY, found {len(words)} words")
    name, scopes, secret = words
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: the name of a key has letters, digits and any of - _ .")
    given = frozenset(scopes.split(","))
    if not given <= set(SCOPES):
        unknown = ", ".join(sorted(given - set(SCOPES)))
        raise ConfigError(f"{where}: {unknown!r} is no scope, expected {' or '.join(SCOPES)}, or both with a comma")
    hashed = _DIGEST.fullmatch(secret)
    if hashed is None and len(secret) < _SHORTEST:
        raise ConfigError(f"{where}: the key of {name} is shorter than {_SHORTEST} characters, and could be guessed")
    digest = bytes.fromhex(hashed[1]) if hashed else hashlib.sha256(secret.encode()).digest()
    return _Key(digest, Caller(name=name, scopes=given))
