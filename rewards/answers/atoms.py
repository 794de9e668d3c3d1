r"""What is written of single atoms: electron configurations and isotopes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

_MARKUP = str.maketrans("", "", "^{}_ " + TEXT_MARK)
_CONFIGURATION = re.compile(r"(?:\[[A-Z][a-z]?\])?(?:[1-9][spdfg]\d{1,2})+")
_SHELL = re.compile(r"\[[A-Z][a-z]?\]|[1-9][spdfg]\d{1,2}?(?=[1-9][spdfg]|$)")
_ISOTOPE = re.compile(r"(?:\{\})?\^\{?(\d{1,3})\}?(?:_\{?\d{1,3}\}?)?\{?([A-Z][a-z]?)\}?|([A-Z][a-z]?)-(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Written:
    """A configuration, by its shells in any order, or an isotope, by its symbol and mass."""

    parts: frozenset[str]

    def same(self, answer: str, _: Decide) -> bool | None:
        """Whether the answer is the same one."""
        return atom(spaced(answer)) == self.parts


def atom(text: str) -> frozenset[str] | None:
    """The parts of a configuration or isotope in spaced form, None for something else.

    >>> sorted(atom("[He] 2s^2 2p^6") or ())
    ['2p6', '2s2', '[He]']
    """
    bare = text.translate(_MARKUP)
    if _CONFIGURATION.fullmatch(bare):
        return frozenset(_SHELL.findall(bare))
    isotope = _ISOTOPE.fullmatch(text.replace(TEXT_MARK, "").replace(" ", ""))
    return frozenset(filter(None, isotope.groups())) if isotope else None
