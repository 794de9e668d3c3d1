r"""What is written of single atoms: electron configurations and isotopes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide
from rewards.normal import TEXT_MARK, spaced

_MARKUP = str.maketrans("", "", "^{}_ " + TEXT_MARK)
_CONFIGURATION = re.compile(r"(?:\[[A-Z][a-z]?\])?(?:[1-9][spdfg]\d{1,2})+")
_SHELL = re.compile(r"\[[A-Z][a-z]?\]|[1-9][spdfg]\d{1,2}?(?=[1-9][spdfg]|$)")
_CORES = {"[He]": "1s2", "[Ne]": "[He]2s22p6", "[Ar]": "[Ne]3s23p6", "[Kr]": "[Ar]3d104s24p6", "[Xe]": "[Kr]4d105s25p6"}
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
    ['1s2', '2p6', '2s2']
    """
    bare = text.translate(_MARKUP)
    while bare[:4] in _CORES:
        bare = _CORES[bare[:4]] + bare[4:]
    if _CONFIGURATION.fullmatch(bare):
        return frozenset(_SHELL.findall(bare))
    isotope = _ISOTOPE.fullmatch(text.replace(TEXT_MARK, "").replace(" ", ""))
    return frozenset(filter(None, isotope.groups())) if isotope else None
