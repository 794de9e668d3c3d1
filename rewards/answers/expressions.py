r"""Expressions and equations: what algebra decides in the end."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewards.answers.kind import Decide, any_of
from rewards.identity import proportional, value
from rewards.normal import TEXT_MARK, compact, spaced, unassigned

_EQUALS = re.compile(r"\\approx(?![a-zA-Z])|(?<![<>!\\])=(?!=)")
_CONSTANT = re.compile(rf"(?:^|(?<=[+-])){TEXT_MARK}?(?:C|c|K|k|const(?:ant)?\.?)(?=$|[+-])")
_NAME = re.compile(
    r"(?:[a-zA-Z]|\\[a-zA-Z]+)(?:_\{?\w+\}?)?(?:(?:'{1,3}|\^-1)?\([a-zA-Z](?:,[a-zA-Z])*\)|'{1,3})?"
    r"|\\frac\{(?:d|\\partial)(?:\^\{?\d\}?)? ?[a-zA-Z]?\}\{(?:(?:d|\\partial) ?[a-zA-Z](?:\^\{?\d\}?)?)+\}"
    r"|d[a-zA-Z]/d[a-zA-Z]"
)
_DERIVATIVE = re.compile(r"\\frac\{d ?[a-zA-Z]\}\{d ?[a-zA-Z]\}|d[a-zA-Z]/d[a-zA-Z]|[a-zA-Z]'(?:\([a-zA-Z]\))?")
_BASE = re.compile(r"_\{?\w+\}?$|\([a-zA-Z](?:,[a-zA-Z])*\)$")


@dataclass(frozen=True, slots=True)
class Expression:
    """A reference that is an expression; `text` in formula form."""

    text: str

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer is the same expression, or a chain of equals that ends in it."""
        found = compact(spaced(answer))
        if found == self.text or found.replace(TEXT_MARK, "") == self.text.replace(TEXT_MARK, ""):
            return True
        links = _EQUALS.split(unassigned(found))
        if len(links) > 4 or not all(links):
            return False
        if _CONSTANT.search(self.text):
            links = [_CONSTANT.sub("C", link) for link in links]
        links = [engineers(link) if _imaginary(self.text) else link for link in links]
        if len(links) > 1 and _contradict(links):
            return False
        links = links[1:] if len(links) > 1 and _NAME.fullmatch(links[0]) else links
        return any_of([link == self.text or decide(link, _CONSTANT.sub("C", self.text)) for link in links])


def _same_name(one: str, other: str) -> bool:
    """Whether two names are of one thing: y and f(x), y' and dy/dx, or an index or argument left out of one of them."""
    first, second = _BASE.sub("", one), _BASE.sub("", other)
    if _DERIVATIVE.fullmatch(one) and _DERIVATIVE.fullmatch(other):
        return True
    return (first == second and (first == one) != (second == other)) or {one, other} == {"y", "f(x)"}


def _imaginary(text: str) -> bool:
    return "i" in re.sub(r"\\[a-zA-Z]+", "", text)


def engineers(text: str) -> str:
    """An expression with the engineers' j as i, where it has no i."""
    return text if _imaginary(text) else re.sub(r"(?<![a-zA-Z\\])j(?![a-zA-Z])", "i", text)


def _contradict(links: list[str]) -> bool:
    """Whether two links of a chain are different numbers."""
    numbers = [number for link in links if (number := value(link)) is not None]
    return any(abs(one - numbers[0]) > 0.01 * abs(numbers[0]) for one in numbers[1:])


@dataclass(frozen=True, slots=True)
class Equation:
    """A reference that is an equation; `left` is a name where it defines something."""

    left: str
    right: str

    def same(self, answer: str, decide: Decide) -> bool | None:
        """Whether the answer is the same equation, in whichever form, or the right side alone of a definition."""
        found = compact(spaced(answer))
        sides = _EQUALS.split(found)
        defines = _NAME.fullmatch(self.left) is not None
        if len(sides) == 1:
            return Expression(self.right).same(answer, decide) if defines else False
        if len(sides) != 2 or not all(sides):
            return False
        if sides[0] == self.left or (defines and _same_name(sides[0], self.left)):
            verdict = Expression(self.right).same(sides[1], decide)
            if verdict is not None or defines:
                return verdict
        return self._equivalent(sides, decide)

    def _equivalent(self, sides: list[str], decide: Decide) -> bool | None:
        one, other = (f"({left})-({right})" for left, right in (sides, (self.left, self.right)))
        verdict = proportional(one, other)
        return verdict if verdict is not None else decide("=".join(sides), f"{self.left}={self.right}")


def equation(text: str) -> Equation | None:
    """The equation that a formula is, None for something else."""
    sides = text.split("=")
    if len(sides) != 2 or not all(sides) or re.search(r"[<>]|\\[lgn]e(?![a-zA-Z])", text):
        return None
    return Equation(sides[0], sides[1])
