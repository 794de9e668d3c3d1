"""Hundreds of hostile answers: each comes back in bounded time, is not paid, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.hostile import REFERENCE, UNEVALUATED, hostile
from rewards.answer import quick
from rewards.grader import Answered, Grader
from rewards.pool import Pool
from rewards.worker import BOOT, Job

DEADLINE = 0.5
BOUND = 100.0
"""Seconds on a busy machine for over a thousand of them; a single one that is not stopped takes for ever."""
TASKS: tuple[Any, ...] = ("math", "stem", "exact")
TRACE = "hostile-trace"
"""A file that planted code would leave in the working directory."""


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    live = Grader(workers=2, deadline=DEADLINE)
    yield live
    live.close()


@pytest.fixture(scope="module")
def answers() -> list[str]:
    found = [one.replace("{trace}", TRACE) for one in hostile()]
    assert len(set(found)) > 500
    return found


@pytest.mark.parametrize("task", TASKS)
def test_what_is_decided_here_is_decided_at_once(answers: list[str], task: Any) -> None:
    """100 kB of anything in 0.2 s, as this runs in the event loop of the run."""
    quick("\\boxed{5 km}", "5000 m", "stem")  # loads the units
    slow = {}
    for answer in answers:
        for text in (answer, f"\\boxed{{{answer}}}", "\\boxed{" + answer):
            began = time.process_time()
            quick(text, REFERENCE, task)
            if (spent := time.process_time() - began) > 0.2:
                slow[text[:60]] = spent
    assert slow == {}


@pytest.mark.parametrize("task", TASKS)
async def test_no_hostile_answer_is_paid(grader: Grader, answers: list[str], task: Any) -> None:
    texts = [*answers, *(f"so it is \\boxed{{{one}}}." for one in answers), "\\boxed{(x+1)^2}"]
    references = [REFERENCE] * (len(texts) - 1) + ["x^2+2x+1"]
    asked = [Answered(text, reference, task) for text, reference in zip(texts, references, strict=True)]
    *judged, honest = await asyncio.wait_for(grader.grade(asked), BOUND)
    killed = Counter(one.reason.partition(":")[0] for one in judged if one.score is None)
    assert [text[:80] for text, one in zip(texts, judged, strict=False) if one.score not in (0, None)] == []
    assert all(one.reason for one in judged)
    assert set(killed) <= {"timeout", "memory"}
    assert killed.total() < 10, "most are known by their looks"
    assert honest.score == (0 if task == "exact" else 1)
    assert not Path(TRACE).exists()


async def test_calculus_that_is_let_through_is_bounded(grader: Grader, answers: list[str]) -> None:
    """Where the reference is an unevaluated sum itself, the deadline is what is left."""
    calculus = [one for one in answers if one.startswith((r"\sum", r"\prod", r"\lim", r"\int_0^1 e"))]
    asked = [Answered(f"\\boxed{{{one}}}", UNEVALUATED, "math") for one in calculus]
    judged = await asyncio.wait_for(grader.grade(asked), BOUND)
    assert [one for one, judgement in zip(calculus, judged, strict=True) if judgement.score] == []


def test_algebra_evaluates_no_text_and_can_do_nothing_else() -> None:
    """Behind all screens: the sealed process itself, asked to break out."""
    pool = Pool(Job("support.jobs", "burglar", sealed=True), workers=1, deadline=5.0)
    try:
        ways = ["eval", "exec", "sympify", "lambdify", "system", "popen", "fork", "socket", "write", "remove", "ctypes"]
        said = {way: pool.submit((way, TRACE)).result(60) for way in ways}
    finally:
        pool.close()
    assert {way: one.reason for way, one in said.items() if "SealedError" not in one.reason} == {}
    assert not Path(TRACE).exists()


@pytest.mark.parametrize("text", ["1", "1,250", "0.5", "1e5"])
def test_numbers_are_read_without_eval(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    latex = pytest.importorskip("rewards.latex")
    called: list[str] = []
    latex.disarm()
    monkeypatch.setattr("builtins.eval", lambda *_: called.append("eval"))
    assert float(latex.number(text)) == float(text.replace(",", ""))
    assert called == []


async def test_the_seal_hinders_no_honest_answer(grader: Grader) -> None:
    """The whole table of labelled answers through the sealed processes: what loads a library late must do so before."""
    table = Path(__file__).parent.parent / "unit" / "rewards" / "answers" / "cases.jsonl"
    cases = [json.loads(line) for line in table.read_text().splitlines()]
    texts = [one["response"] if "response" in one else f"\\boxed{{{one['answer']}}}" for one in cases]
    asked = [Answered(text, one["reference"], one["task"]) for text, one in zip(texts, cases, strict=True)]
    asked += [Answered("\\boxed{ one8 g/cm3}", "1.8 g/cm3", "stem"), Answered("\\boxed{12 top 1 m}", "10 m", "stem")]
    judged = await grader.grade(asked)
    hindered = {one.answer: said.reason for one, said in zip(asked, judged, strict=True) if "ealed" in said.reason}
    assert hindered == {}
    assert {
        said.reason for said in judged if said.reason.startswith(("raised", "crash", "memory", "not started"))
    } == set()


def memory(processes: list[psutil.Process]) -> int:
    return sum(one.memory_info().rss for one in processes)


async def test_a_thousand_bombs_do_not_bloat_the_run(grader: Grader, answers: list[str]) -> None:
    me = psutil.Process()
    before = memory([me])
    for repeat in range(2):
        await grader.grade([Answered(f"\\boxed{{{one}}} {repeat}", REFERENCE, "math") for one in answers])
    assert memory([me]) - before < 200 * 2**20
    assert len([one for one in me.children() if BOOT in one.cmdline()]) in (1, 2, 3)
