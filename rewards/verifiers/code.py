"""Programs that a model wrote, run against test cases in a sandbox."""

from __future__ import annotations

import time
from typing import Annotated, Literal

from pydantic import Field

from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.sandbox.box import Sandbox, SandboxError
from rewards.sandbox.confine import Limits
from rewards.sandbox.warden import OUT_OF_TIME
from rewards.verifiers.cases import Case, agrees, cases_of

LONGEST = 100_000
"""Characters of a program that is run."""
BUSY = 0.25
"""Share of all time that a program waited for a processor from which it is the machine that failed."""
LANGUAGES = ("", "python", "python3", "py")


@reward(seconds="total_seconds")
def code(
    sample: Sample,
    partial: bool = False,
    seconds: Annotated[float, Field(gt=0, le=600)] = 2.0,
    total_seconds: Annotated[float, Field(gt=0, le=3600)] = 4.0,
    memory_mib: Annotated[int, Field(ge=64)] = 512,
    output_kib: Annotated[int, Field(ge=1, le=65536)] = 1024,
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 1e-6,
    isolation: Literal["full", "any"] = "full",
) -> Judgement:
    r"""1 if the Python program of the answer passes all test cases, run in a sandbox.

    The program is the last finished ``` block of Python in the answer, or all of an answer without blocks. Its
    cases are in the metadata `tests` or the reference, as JSON: `{"inputs": […], "outputs": […]}` with standard
    input and output, or with `"fn_name"` and lists of arguments and results; a list of `{"input", "output"}`; or a
    list of `assert f(1) == 2`. Methods of a class Solution are found, too.

    Each case runs in a fresh process of Python without packages, which the kernel cuts off: limits of processor
    time, memory, output and files; Landlock (it reads Python's library and nothing else, and writes in one empty
    folder without subfolders); a seccomp filter (no sockets, processes, programs, signals to others, or file modes;
    it names what is refused, and is no proof against flaws of the kernel); namespaces of user and network where
    they are allowed, on top. Expected outputs never come near that process. The reason of a verdict says which of
    these held, the component `isolated` is 1 if all but namespaces did. Where Landlock or seccomp are missing,
    verdicts fail, unless `isolation` is `any`.

    Example: reference `[{"input": "2 3", "output": "5"}]`, right answer
    "```python\nprint(sum(map(int, input().split())))\n```"

    Args:
        partial: pays the share of cases that pass, and runs all; else the first that fails ends the verdict with 0.
        seconds: processor time of one case; by the clock it may take three times that, not counting what it waited
            for a processor.
        total_seconds: time of all cases by the clock; those not run by then have not passed, and the verdict fails
            if a busy machine is to blame. Its deadline follows from this, unless the term has a timeout of its own.
        memory_mib: address space of one case.
        output_kib: what a case may print, in KiB of UTF-8; more fails it.
        tolerance: how far decimals may be off; whole numbers and words must be equal.
        isolation: full refuses to run anything with less than all barriers; any runs with those that there are.
    """
    try:
        cases = cases_of(sample)
    except ValueError as error:
        return failed("bad reference", str(error))
    source = program_in(sample.answer)
    if not source.strip() or len(source) > LONGEST:
        return Judgement(0.0, "there is no program" if not source.strip() else f"a program of {len(source)} characters")
    limits = Limits(seconds, memory_mib, output_kib)
    try:
        with Sandbox(limits) as sandbox:
            if sandbox.missing and isolation == "full":
                return failed("not started", f"this machine has no {', '.join(sandbox.missing)}: see isolation")
            tried = _tried(sandbox, source, cases, partial, total_seconds, tolerance)
            return tried if isinstance(tried, Judgement) else _judged(sandbox, cases, tried, partial)
    except SandboxError as error:
        return failed("not started", f"the sandbox: {error}")


def _tried(
    sandbox: Sandbox, source: str, cases: list[Case], partial: bool, total_seconds: float, tolerance: float
) -> list[str] | Judgement:
    """Why each case failed, empty for those that passed; cases behind them were not run.

    A failed judgement where time ran out because the machine had no processor for the program.
    """
    until, waited = time.monotonic() + total_seconds, 0.0
    faults: list[str] = []
    for case in cases:
        outcome = sandbox.run(case.run_of(source, max(0.0, until - time.monotonic())))
        waited += outcome.waited
        if outcome.fault == OUT_OF_TIME and waited > BUSY * total_seconds:
            return failed("timeout", f"of {total_seconds:g} s the program waited {waited:.1f} s for a processor")
        wrong = "" if agrees(outcome.output, case, tolerance) else _difference(outcome.output, case)
        faults.append(outcome.fault or wrong)
        if outcome.fault == OUT_OF_TIME or (faults[-1] and not partial):
            break
    return faults


def _difference(output: str, case: Case) -> str:
    wanted = case.expected if isinstance(case.expected, str) else repr(case.expected)
    return f"expected {brief(wanted)!r}, found {brief(output)!r}"


def _judged(sandbox: Sandbox, cases: list[Case], faults: list[str], partial: bool) -> Judgement:
    passed = sum(not fault for fault in faults)
    reason = f"{passed} of {len(cases)} cases passed"
    first = next((index for index, fault in enumerate(faults) if fault), None)
    if first is not None:
        reason += f"; case {first + 1}: {faults[first]}"
    score = passed / len(cases) if partial else float(passed == len(cases))
    parts = {"passed": passed / len(cases), "isolated": float(not sandbox.missing)}
    return Judgement(score, f"{reason}; isolated by {', '.join(sandbox.barriers)}", parts)


def program_in(answer: str) -> str:
    r"""The last finished block of Python in an answer; all of it, if there are no blocks.

    >>> program_in("so\n```python\nprint(1)\n```\nthat is it")
    'print(1)'
    """
    if "```" not in answer:
        return answer
    found, block, language = "", list[str](), None
    for line in answer.splitlines():
        mark = line.strip()
        if language is None:
            if mark.startswith("```"):
                block, language = [], mark[3:].strip().lower()
        elif mark == "```":
            found = "\n".join(block) if language in LANGUAGES else found
            language = None
        else:
            block.append(line)
    return found
