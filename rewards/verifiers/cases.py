"""Test cases of programs, in the forms that data sets have them, and whether an output is the expected one."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from rewards.sample import Sample
from rewards.sandbox.program import plain
from rewards.sandbox.warden import Run

FORMS = (
    'expected test cases as JSON: {"inputs": […], "outputs": […], "fn_name": …}, a list of {"input": …, "output": …}, '
    'or a list of "assert f(1) == 2", in the metadata tests or as the reference'
)


class Case(NamedTuple):
    """Standard input and the output expected for it; or a function, its arguments, and the value expected of it."""

    expected: Any
    stdin: str = ""
    function: str = ""
    arguments: tuple[Any, ...] = ()

    def run_of(self, source: str, clock: float) -> Run:
        """The run that tries a program on this case."""
        return Run(source, self.stdin, self.function, repr(list(self.arguments)), clock)


def cases_of(sample: Sample) -> list[Case]:
    """The test cases of a sample.

    Raises:
        ValueError: there are none, or they are in no known form.
    """
    written = sample.metadata.get("tests", sample.reference)
    try:
        found = list(_cases(json.loads(written) if isinstance(written, str) else written))
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, RecursionError) as error:
        raise ValueError(f"{FORMS}: {error}") from error
    if not found:
        raise ValueError(FORMS)
    return found


def _cases(written: Any) -> Iterator[Case]:
    if isinstance(written, Mapping):
        function = written.get("fn_name") or ""
        for given, expected in zip(written["inputs"], written["outputs"], strict=True):
            yield _case(function, given, expected)
        return
    for one in written or ():
        yield _asserted(one) if isinstance(one, str) else _single(one)


def _single(case: Mapping[str, Any]) -> Case:
    function = case.get("fn_name") or ""
    if case.get("testtype") == "functional" and not function:
        raise ValueError("a functional case needs the name of its function, fn_name")
    return _case(function, case["input"], case["output"])


def _case(function: str, given: Any, expected: Any) -> Case:
    """Input and output; or a call whose arguments are a list or, with its result, JSON texts, one argument a line."""
    if not function:
        return Case(_text(expected), stdin=_text(given))
    if isinstance(given, str):
        arguments = [json.loads(line) for line in given.splitlines() if line.strip()]
        return Case(json.loads(expected), function=function, arguments=tuple(arguments))
    return Case(expected, function=function, arguments=tuple(given))


def _text(value: Any) -> str:
    """What is read or printed; a list is its lines."""
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _asserted(line: str) -> Case:
    """The case of `assert f(1, [2]) == 3`: it becomes data, so that the program cannot read what is expected.

    Raises:
        ValueError: it is no comparison of one call with a constant.
    """
    match ast.parse(line.strip()).body:
        case [ast.Assert(test=ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[wanted]))]:
            if isinstance(call.func, ast.Name) and not call.keywords:
                arguments = tuple(map(ast.literal_eval, call.args))
                return Case(ast.literal_eval(wanted), function=call.func.id, arguments=arguments)
    raise ValueError(f"{line!r} is not of the form assert f(ARGUMENTS) == VALUE")


def agrees(output: str, case: Case, tolerance: float) -> bool:
    """Whether a run's output is the expected one: for calls by value, else line by line and word by word.

    Space at the ends of lines and empty lines at the end do not count. Decimals may differ by the tolerance,
    relative to those above 1; whole numbers and words may not.
    """
    if not case.function:
        return _same_lines(output, case.expected, tolerance)
    try:
        return _same(json.loads(output), plain(case.expected), tolerance)
    except (ValueError, RecursionError):
        return False


def _same_lines(output: str, expected: str, tolerance: float) -> bool:
    found, wanted = (text.rstrip().splitlines() for text in (output, expected))
    return len(found) == len(wanted) and all(
        left.rstrip() == right.rstrip() or _same_words(left.split(), right.split(), tolerance)
        for left, right in zip(found, wanted, strict=True)
    )


def _same_words(found: list[str], wanted: list[str], tolerance: float) -> bool:
    return len(found) == len(wanted) and all(
        left == right or _near(_decimal(left), _decimal(right), tolerance)
        for left, right in zip(found, wanted, strict=True)
    )


def _decimal(word: str) -> float:
    """A number with a decimal point or an exponent; not a number for anything else."""
    try:
        return float(word) if "." in word or "e" in word.lower() else math.nan
    except ValueError:
        return math.nan


def _near(found: float, wanted: float, tolerance: float) -> bool:
    return math.isclose(found, wanted, rel_tol=tolerance, abs_tol=tolerance)


def _same(found: Any, wanted: Any, tolerance: float) -> bool:
    """Whether two plain values are equal; a set is equal to the list of its members in any order."""
    if isinstance(found, float) or isinstance(wanted, float):
        numbers = isinstance(found, int | float) and isinstance(wanted, int | float)
        return numbers and (found == wanted or _near(found, wanted, tolerance))
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted, [tolerance] * len(found)))
    if isinstance(found, dict) and isinstance(wanted, list):
        return found == {"set": sorted(wanted, key=json.dumps)}
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key], tolerance) for key in found)
    return found == wanted
