"""YAML as recipes mean it: numbers that are numbers, words that are words, and lines for all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.text import read_file, read_text
from halyard.errors import ConfigError


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-6", 1e-6),
        ("1E3", 1000.0),
        ("-2.5", -2.5),
        (".inf", float("inf")),
        ("012", 12),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("2026-01-02", "2026-01-02"),
        ('"8"', "8"),
        ("[1, a]", [1, "a"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("", None),
    ],
)
def test_values(written: str, value: object) -> None:
    found = read_text(written, "x").value
    assert found == value
    assert type(found) is type(value)


def test_every_key_and_element_has_its_line() -> None:
    document = read_text("a: 1\n\nb:\n  - c: 2\n  -\n    d: 3\n", "x")
    assert document.lines[("a",)] == 1
    assert document.lines[("b",)] == 3
    assert document.lines[("b", 0, "c")] == 4
    assert document.lines[("b", 1, "d")] == 6


def test_a_key_given_twice_is_a_fault() -> None:
    document = read_text("a: 1\nb: 2\na: 3\n", "x")
    assert document.value == {"a": 1, "b": 2}
    assert [fault.message for fault in document.faults] == ["is given twice, at lines 1 and 3: keep one"]


@pytest.mark.parametrize("text", ["a: !!python/object:os.system {}", "a: !secret x", "a: !!binary aGk="])
def test_tags_that_are_no_plain_values_are_faults(text: str) -> None:
    (fault,) = read_text(text, "x").faults
    assert "tag" in fault.message


@pytest.mark.parametrize("text", ["a: [1, 2", "a:\n\t- b", "a: b: c", "--- 1\n--- 2\n", "a: *nowhere"])
def test_what_is_not_yaml_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^x:\d+: this is not YAML"):
        read_text(text, "x")


def test_a_document_that_contains_itself_is_refused() -> None:
    assert any("deep" in fault.message for fault in read_text("a: &loop\n  b: *loop\n", "x").faults)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(ConfigError, match="UTF-8"):
        read_file(latin)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_file(tmp_path)
