"""YAML 1.2 as plain values, each key with its line: `1e-6` is a number, `no` is a word, no key comes twice."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from configs.faults import Fault
from configs.schema import KeyPath
from halyard.errors import ConfigError

_PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "null", "bool", "int", "float", "str", "timestamp")}
_DATE = "tag:yaml.org,2002:timestamp"
_DEEPEST = 40


@dataclass(slots=True)
class Document:
    """What a text says: `value` of dicts, lists and scalars; `lines` from 1, by key path; `faults` of its form."""

    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_file(path: Path) -> Document:
    """The document in a file.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigError(f"{path}: the file cannot be read: {reason}") from error
    return read_text(text, str(path))


def read_text(text: str, source: str) -> Document:
    """The document in a text; `source` names it in messages.

    Raises:
        ConfigError: the text is not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        raise ConfigError(f"{where}: this is not YAML: {error.problem or error.context}") from error
    except YAMLError as error:
        raise ConfigError(f"{source}: this is not YAML: {' '.join(str(error).split())}") from error
    document = Document()
    if node is not None:
        document.value = _Reader(yaml, document).read(node, ())
    document.lines.setdefault((), 1)
    return document


class _Reader:
    """Turns YAML's nodes into plain values and notes lines and faults in a document."""

    def __init__(self, yaml: YAML, document: Document) -> None:
        self._construct = yaml.constructor.construct_object
        self._document = document

    def read(self, node: Node, path: KeyPath) -> Any:
        """The plain value of a node and all below it."""
        self._document.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > _DEEPEST:
            return self._fault(path, f"is nested more than {_DEEPEST} deep")
        if node.tag not in _PLAIN:
            return self._fault(path, f"has the tag {node.tag}, expected a plain value")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            return [self.read(element, (*path, index)) for index, element in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._fault(path, f"has a key at line {key_node.start_mark.line + 1} that is not a word")
                continue
            here = (*path, str(key_node.value))
            if key_node.value in values:
                first = self._document.lines[here]
                self._fault(here, f"is given twice, at lines {first} and {key_node.start_mark.line + 1}: keep one")
                continue
            self._document.lines[here] = key_node.start_mark.line + 1
            values[str(key_node.value)] = self.read(value_node, here)
        return values

    def _scalar(self, node: Node, path: KeyPath) -> Any:
        if node.tag == _DATE:
            return node.value  # a name or a path that looks like a date is still a word
        try:
            return self._construct(node)
        except (ValueError, YAMLError):
            return self._fault(path, f"is {node.value!r}, which is not a {node.tag.rpartition(':')[2]}")

    def _fault(self, path: KeyPath, message: str) -> None:
        self._document.faults.append(Fault(path, message))
