from __future__ import annotations

import hashlib
import logging
import os

import pytest

from halyard.errors import ConfigError
from serving.keys import Keys

ALICE, OPS = "sk-alice-0123456789", "sk-ops-ü-0123456789"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "keys"
    digest = hashlib.sha256(OPS.encode()).hexdigest()
    path.write_text(f"# who\nalice consume {ALICE}\nops consume,operate sha256:{digest}  # hashed\n")
    return path


def test_a_key_is_known_by_itself_or_its_hash(path) -> None:
    keys = Keys(path)
    alice, ops = keys.caller(ALICE), keys.caller(OPS)
    assert alice is not None
    assert ops is not None
    assert (alice.name, alice.scopes) == ("alice", {"consume"})
    assert (ops.name, ops.scopes) == ("ops", {"consume", "operate"})
    for other in ("", "sk-alice", ALICE + "x", "\udcff", f"sha256:{hashlib.sha256(OPS.encode()).hexdigest()}"):
        assert keys.caller(other) is None


def test_keys_are_given_and_taken_without_a_restart(path, caplog) -> None:
    keys = Keys(path)
    path.write_text("bob consume sk-bob-0123456789abc\n")
    os.utime(path, ns=(1, 1))
    assert keys.caller(ALICE) is None
    assert keys.caller("sk-bob-0123456789abc") is not None
    path.write_text("bob nothing sk-bob\n")
    with caplog.at_level(logging.ERROR, logger="halyard.serving"):
        assert keys.caller("sk-bob-0123456789abc") is not None
    assert "sk-bob" not in caplog.text
    path.unlink()
    assert keys.caller("sk-bob-0123456789abc") is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no keys"),
        ("# nobody\n", "no keys"),
        ("alice sk-0123456789abcdef\n", ":1: expected NAME SCOPES KEY"),
        ("alice read sk-0123456789abcdef\n", "'read' is no scope"),
        ("alice consume short\n", "shorter than 16"),
        ("al/ice consume sk-0123456789abcdef\n", "name of a key"),
        ("a consume sk-0123456789abcdef\na consume sk-1123456789abcdef\n", "two keys named a"),
    ],
)
def test_a_wrong_file_is_refused_by_line(tmp_path, text, message) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as refused:
        Keys(path)
    assert "0123456789abcdef" not in str(refused.value)


def test_a_missing_file_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Keys(tmp_path / "nowhere")
