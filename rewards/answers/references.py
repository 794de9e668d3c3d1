r"""What kind of answer a reference is, read once and remembered.

The kinds are tried from the most particular to the most general; what is none of them is an expression, for algebra.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from halyard.tasks import Task
from rewards.answers import (
    atoms,
    choices,
    clock,
    dates,
    directions,
    families,
    formulas,
    intervals,
    lists,
    piecewise,
    quantities,
    ranges,
    reactions,
    relations,
    truth,
)
from rewards.answers.expressions import Expression, equation
from rewards.answers.kind import Kind
from rewards.answers.lists import Either
from rewards.answers.measured import TOLERANCE, Measured
from rewards.answers.sequences import Ratio, Sequence, ratio, sequence
from rewards.answers.words import Infinite, Nothing, Words, infinite, is_nothing
from rewards.normal import REMEMBERED, TEXT_MARK, compact, formula, spaced, tidy, unassigned
from rewards.structure import boxes

WORDED = (Words, Nothing, truth.Truth, choices.Chosen, choices.Circled)
"""Kinds of reference to which a sentence may be the answer."""
DEEPEST = 3
"""Lists within lists."""

_USUAL = re.compile(
    r"-?[0-9]+(?:\.[0-9]+|/[0-9]+)?"
    r"(?: ?(?:[km]?g|[kcmn]?m|m?s|min|[kM]?J|k?W|k?V|m?A|[kM]?Pa|k?N|k?Hz|mol|K|m?L|eV|m/s|%))?"
)
"""Numbers alone or with a unit that everyone has."""
_LETTERS = re.compile(r"(?:[^\W\d_]|[ ,'-])*\.?")
_BEGINS = re.compile(r"[^\W\d_]{3}|[A-Z]-?[a-z]|[一-鿿]|[^\W\d_]+ ")
_SPACED_WORDS = re.compile(r"[^\W\d_]+(?: [^\W_]+)+|(?:sp|[A-Za-z]{2,}-?)\^?\d")
_FUNCTION = re.compile(r"(?:sin|cos|tan|cot|sec|csc|ln|log|exp|sqrt|max|min|det|arc\w*)(?![a-z])")
_BUILDER = re.compile(r"\\\{(?:[^{}]|\\mathbb\s?\{[A-Z]\})*?(?:\\mid|\\vert|\||:)")
_SHARE = re.compile(r"percent|per cent|%|百分", re.IGNORECASE)


@lru_cache(maxsize=REMEMBERED)
def reference(text: str, task: Task, prompt: str = "", tolerance: float = TOLERANCE) -> Kind:
    """The kind that a reference is; the prompt tells the options of a multiple choice."""
    boxed = boxes(text)
    return _Reader(task, prompt, tolerance).read(tidy(boxed[-1] if boxed else text))


class _Reader:
    """Reads a reference for one task; parts of lists are read alike."""

    def __init__(self, task: Task, prompt: str, tolerance: float) -> None:
        self._task: Task = task
        self._tolerance, self._prompt = tolerance, prompt
        self._options = choices.options(prompt) if prompt else {}

    def read(self, text: str, depth: int = 0) -> Kind:
        particular = (self._choice, self._plain_number, self._truth, self._nothing)
        science = (
            self._date, self._clock, self._directed, self._reaction, self._sequence, self._atom, self._substance,
            self._ratio, self._range,
        )  # fmt: skip
        general: tuple[Callable[[str, int], Kind | None], ...] = (
            self._matrix, self._cases, self._family, self._circled, self._relation, self._region, self._named,
            self._measured, self._listed, self._equation, self._words,
        )  # fmt: skip
        readers = (*particular, *(science if self._task == "stem" else (self._ratio,)), *general)
        for reader in readers:
            found = reader(text, depth)
            if found is not None:
                return found
        return Expression(unassigned(formula(text)))

    def _choice(self, text: str, depth: int) -> Kind | None:
        if depth:
            return None
        found = choices.reference(text)
        if found is None:
            return self._chosen_text(text)
        letters, behind = found
        texts = dict(self._options)
        if behind and len(letters) == 1:
            texts |= dict.fromkeys(letters, behind)
        if behind and not re.search(r"[^\W\d_]{2,}|\d", behind):
            return None
        return self._chosen(letters, texts)

    def _chosen_text(self, text: str) -> Kind | None:
        """A reference that is the text of an option."""
        letters = [letter for letter, option in self._options.items() if _plainly_same(option, text)]
        return self._chosen(frozenset(letters), dict(self._options)) if len(letters) == 1 else None

    def _chosen(self, letters: frozenset[str], texts: dict[str, str]) -> Kind:
        kinds = {
            letter: _Reader(self._task, "", self._tolerance).read(tidy(option), 1)
            for letter, option in texts.items()
            if option
        }
        return choices.Chosen(letters, texts, kinds)

    def _truth(self, text: str, _: int) -> Kind | None:
        said = truth.truth(text)
        return None if said is None or (len(text.strip()) == 1 and text.isascii()) else truth.Truth(said)

    def _nothing(self, text: str, _: int) -> Kind | None:
        if sign := infinite(text):
            return Infinite(sign)
        return Nothing() if is_nothing(text) else None

    def _plain_number(self, text: str, depth: int) -> Kind | None:
        """The usual case, before the more particular kinds that have to look closer."""
        return self._measured(text, depth) if _USUAL.fullmatch(text) else None

    def _date(self, text: str, depth: int) -> Kind | None:
        return dates.Dated(text) if not depth and dates.is_date(text) else None

    def _clock(self, text: str, depth: int) -> Kind | None:
        form = spaced(text)
        return clock.clock(form) if not depth and clock.is_clock(form) else None

    def _reaction(self, text: str, _: int) -> Kind | None:
        form = spaced(text)
        found = reactions.reaction(form) if reactions.is_reaction(form) else None
        return found and reactions.Reacting(found)

    def _atom(self, text: str, _: int) -> Kind | None:
        found = atoms.atom(spaced(text))
        return atoms.Written(found) if found else None

    def _substance(self, text: str, _: int) -> Kind | None:
        form = spaced(text).strip(f" {TEXT_MARK}")
        found = formulas.formula(form) if formulas.is_formula(form) else None
        return found and formulas.Substance(found)

    def _sequence(self, text: str, depth: int) -> Kind | None:
        form = spaced(text)
        numbered = lists.ordered_words(form)
        if numbered:
            return lists.Listed(tuple(self.read(part, depth + 1) for part in numbered), ordered=True)
        found = None if depth else sequence(form)
        return found and Sequence(tuple(self.read(part, depth + 1) for part in found[0]), found[1])

    def _range(self, text: str, depth: int) -> Kind | None:
        form = spaced(text)
        if depth or quantities.quantity(form, self._task):
            return None
        terms = ratio(form)
        return ranges.read(form) or (Ratio(terms) if terms else None)

    def _ratio(self, text: str, _: int) -> Kind | None:
        terms = ratio(spaced(text)) if ":" in text else None
        time = clock.clock(text) if terms and clock.TWO_DIGITS.fullmatch(text) else None
        return Either((Ratio(terms), time)) if terms and time else Ratio(terms) if terms else None

    def _circled(self, text: str, _: int) -> Kind | None:
        marks = choices.circled(text)
        return choices.Circled(marks) if marks else None

    def _relation(self, text: str, _: int) -> Kind | None:
        form = spaced(text)
        return relations.congruent(form) if "\\equiv" in form else relations.related(form)

    def _matrix(self, text: str, depth: int) -> Kind | None:
        cells = lists.matrix(spaced(text))
        if cells is None or depth > DEEPEST:
            return None
        return lists.Matrix(tuple(tuple(self.read(cell, depth + 1) for cell in row) for row in cells))

    def _cases(self, text: str, depth: int) -> Kind | None:
        rows = piecewise.pieces(spaced(text)) or ()
        read = tuple(
            (self.read(value, depth + 1), self.read(where, depth + 1) if where else None) for value, where in rows
        )
        return piecewise.Piecewise(read) if read else None

    def _family(self, text: str, _: int) -> Kind | None:
        return families.family(spaced(text))

    def _region(self, text: str, depth: int) -> Kind | None:
        form = spaced(text)
        if form.startswith("\\{") and not _BUILDER.match(form) and "\\cup" not in form:
            return None
        if not re.search(r"[<>\[\]()]|\\[lgn]e(?![a-z])|\\mathbb|all\s+(?:\w+\s+)?(?:real|number)", form):
            return None
        pieces = intervals.region(form)
        if pieces is None:
            return None
        here = intervals.Region(compact(form), pieces)
        if re.fullmatch(r"\([^()\[\]]*\)", form):
            listed = self._listed(text, depth)
            return Either((here, listed)) if listed else here
        return here

    def _named(self, text: str, depth: int) -> Kind | None:
        r"""`x=1, y=2` and `x=1 or x=2`."""
        found = lists.split(spaced(text))
        if len(found.texts) < 2 or found.form or not ("=" in text or lists.POINT.fullmatch(found.texts[0])):
            return None
        names, parts = lists.values(lists.expanded(found.texts))
        if parts == found.texts or (depth and not names):
            return None
        return lists.Listed(tuple(self.read(part, depth + 1) for part in parts), names=tuple(names))

    def _directed(self, text: str, depth: int) -> Kind | None:
        found = None if depth else directions.directed(spaced(text))
        size = self._measured(found[0], depth) if found else None
        return found and size and directions.Directed(size, found[1])

    def _measured(self, text: str, _: int) -> Kind | None:
        form = spaced(text)
        normal = compact(form)
        bare = unassigned(normal)
        found = quantities.quantity(form if bare == normal else _right_side(form), self._task)
        if found is None:
            return None
        percent = not self._prompt or _SHARE.search(self._prompt) is not None
        return Measured(bare, found, self._task, self._tolerance, percent)

    def _listed(self, text: str, depth: int) -> Kind | None:
        form = spaced(text)
        found = lists.split(form)
        parts = lists.expanded(found.texts)
        if (len(parts) < 2 and found.form != "\\{") or depth > DEEPEST or len(parts) > lists.MOST:
            return None
        _, parts = lists.values(parts)
        items = tuple(self.read(part, depth + 1) for part in parts)
        if (
            self._task == "math"
            and not found.form
            and all(isinstance(item, Words) for item in items)
            and not found.alternatives
        ):
            return lists.Listed(items, alternatives=False)
        if self._task == "math" and not found.form and any(isinstance(item, Words) for item in items):
            return None
        alternatives = self._task == "math" or found.alternatives
        ordered = found.form in ("(", "[", "\\langle")
        pair = found.form == "(" and len(items) == 2
        listed = lists.Listed(items, (), ordered, found.form == "\\{", alternatives, pair)
        number = quantities.quantity(form, self._task)
        return Either((listed, Measured(compact(form), number, self._task))) if number else listed

    def _equation(self, text: str, _: int) -> Kind | None:
        return equation(formula(text))

    def _words(self, text: str, _: int) -> Kind | None:
        form = spaced(text)
        return Words(text) if _is_words(form) and not _FUNCTION.search(form) else None


def _is_words(form: str) -> bool:
    """Whether a spaced form is words and no product of letters."""
    if form[:1] == TEXT_MARK and form[1:2].isalpha():
        return True
    return bool(_BEGINS.match(form) and _LETTERS.fullmatch(form)) or bool(_SPACED_WORDS.fullmatch(form))


def _right_side(form: str) -> str:
    return form.rpartition("=")[2].strip(f" {TEXT_MARK}")


def _plainly_same(option: str, text: str) -> bool:
    return compact(spaced(tidy(option))).lower() == compact(spaced(tidy(text))).lower()
