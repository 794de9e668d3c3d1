"""Real processes, hostile answers: every verdict comes in bounded time, and none of the failed ones is a zero."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from configs.rewards import AnswerTerm, FormatTerm, PythonTerm, RewardsConfig
from halyard.data.types import Verdict
from rewards.answer import Question
from rewards.grader import Answered, Grader
from rewards.pool import Pool
from rewards.process import PATIENCE
from rewards.sample import Sample
from rewards.scorer import Scorer
from rewards.worker import Job

UNRULY = Path(__file__).parent.parent / "support" / "rewards"
SYMBOLIC = Job("rewards.symbolic", "checker")
DEADLINE = 1.0
BOMB = Question("(x+y+z+w)^{900}", "1")
"""An expansion that no pre-screen knows: it must be killed."""

EQUAL = [
    ("2\\sqrt{3}", "\\sqrt{12}"), ("(x+1)^2", "x^2+2x+1"), ("\\{3, 1, 2\\}", "\\{1,2,3\\}"), ("5 m", "5"), ("3!", "6"),
    ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}"), ("\\pi r^2", "r^2 \\pi"), ("\\binom{5}{2}", "10"), ("5^2", "25"),
    ("(-\\infty, 3]", "x \\le 3"), ("y = 2x+1", "2x - y + 1 = 0"), ("\\infty", "\\infty"), ("\\sqrt{-1}", "i"),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&\\frac{8}{2}\\end{pmatrix}"),
    ("\\frac{1.6}{10^{19}}", "1.6e-19"), ("2^{10}", "1024"), ("\\ln e^2", "2"),
]  # fmt: skip
UNEQUAL = [
    ("2\\sqrt{3}", "\\sqrt{13}"), ("(x+1)^2", "x^2+2x+2"), ("(1,2)", "(2,1)"), ("1, 2", "1, 2, 3"), ("5x", "5"),
    ("1.41421356", "\\sqrt{2}"), ("41 or 42", "41"), ("[40,42]", "41"), ("\\pm 3", "3"), ("0/0", "1"), ("1/0", "1"),
    ("5", "\\infty"), ("x", "5"), ("NaN", "5"), ("\\frac{1.7}{10^{19}}", "1.6e-19"), ("\\pi", "3.14159"), ("5 5", "55"),
]  # fmt: skip
HOSTILE = [
    "9^{9^{9^9}}", "9**9**9**9", "2^{10^9}+1", "1000000000!", "\\binom{1000000000}{500000000}", "{" * 50_000,
    "{" * 50_000 + "}" * 50_000, "\\boxed{" * 14_000, "(" * 20_000, "\\frac{" * 400 + "1" + "}" * 400, "\\sqrt{" * 300,
    "1" * 100_000, "+".join("1" * 50_000), "x" * 100_000, "$" * 100_000, "\x00\x00", "5\x00", "\u200b" * 1000, "\ud800",
    "\\sum_{k=1}^{10^9} k^k", "\\log(2^{2^{2^{2^2}}})", "\\sin(10^{10^8})", "__import__('os').system('false')",
    "(x+y+z+w)^{900}", "+".join("1" * 490), "abcdefghijklmnopqrstuvwxyz" * 38, "\\int" * 300, "^" * 900, "{}" * 400,
    "\\frac{\\frac{\\frac{\\frac{1}{x}}{y}}{z}}{w}" * 20, "((((((((((x))))))))))" * 40, "\\text{" * 150 + "}" * 150,
]  # fmt: skip


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    live = Grader(workers=1, deadline=DEADLINE)
    yield live
    live.close()


def answered(answer: str, reference: str = "5", task: Any = "math") -> Answered:
    return Answered(f"\\boxed{{{answer}}}", reference, task)


async def test_algebra_tells_right_from_wrong(grader: Grader) -> None:
    right = await grader.grade([answered(*pair) for pair in EQUAL])
    wrong = await grader.grade([answered(*pair) for pair in UNEQUAL])
    assert [pair for pair, one in zip(EQUAL, right, strict=True) if one.score != 1] == []
    assert [pair for pair, one in zip(UNEQUAL, wrong, strict=True) if one.score != 0] == []


async def test_hostile_answers_are_never_paid_and_never_hang(grader: Grader) -> None:
    for answer in HOSTILE:
        began = time.monotonic()
        bare, boxed, after = await grader.grade(
            [Answered(answer, "5", "math"), answered(answer), answered("(x+1)^2", "x^2+2x+1")]
        )
        assert time.monotonic() - began < 3 * PATIENCE * DEADLINE, answer[:50]
        assert bare.score in (0, None), answer[:50]
        assert boxed.score in (0, None), answer[:50]
        assert boxed.reason
        assert after.score == 1, f"the answer after {answer[:50]} got {after}"


async def test_a_reference_that_cannot_be_read_is_no_zero(grader: Grader) -> None:
    (judgement,) = await grader.grade([answered("x^2", "\\frac{\\frac{")])
    assert judgement.score is None
    assert judgement.reason.startswith("the reference cannot be read")


def test_what_takes_too_long_is_killed_and_replaced() -> None:
    pool = Pool(SYMBOLIC, workers=1, deadline=0.5)
    try:
        good = Question("x + x", "2x")
        futures = [pool.submit(item) for item in (good, BOMB, good, BOMB, good)]
        found = [future.result(60) for future in futures]
        assert [one.score for one in found] == [1, None, 1, None, 1]
        assert found[1].reason == "timeout: no verdict in 0.5 s, killed"
    finally:
        pool.close()


def test_a_process_killed_from_outside_is_replaced() -> None:
    before = set(psutil.Process().children())
    pool = Pool(SYMBOLIC, workers=1, deadline=5.0)
    try:
        assert pool.submit(Question("x + x", "2x")).result(60).score == 1
        (child,) = set(psutil.Process().children()) - before
        child.kill()
        child.wait(5)
        found = [pool.submit(Question("x + x", "2x")).result(60) for _ in range(2)]
        assert [one.score for one in found] == [1, 1]
    finally:
        pool.close()
    assert not child.is_running()


def test_a_pool_serves_threads_and_event_loops_alike() -> None:
    pool = Pool(SYMBOLIC, workers=1, deadline=5.0)
    scores: list[float | None] = []

    def in_thread() -> None:
        scores.append(pool.submit(Question("x + x", "2x")).result(60).score)

    def in_loop() -> None:
        judgements = asyncio.run(pool.judge([Question("x + x", "2x"), Question("x + x", "3x")]))
        scores.extend(one.score for one in judgements)

    threads = [threading.Thread(target=target) for target in (in_thread, in_loop, in_thread, in_loop)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(scores, key=str) == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    finally:
        pool.close()


def test_a_closed_pool_leaves_nothing_behind() -> None:
    before = set(psutil.Process().children())
    pool = Pool(SYMBOLIC, workers=2, deadline=60.0)
    futures = [pool.submit(BOMB) for _ in range(3)]
    time.sleep(0.2)
    pool.close()
    assert all(future.result(5).score is None for future in futures)
    assert pool.submit(BOMB).result(5).reason == "closed: the pool is closed"
    assert set(psutil.Process().children()) == before


def test_processes_die_with_their_parent() -> None:
    program = (
        "import os, psutil\n"
        "from rewards.pool import Pool\nfrom rewards.worker import Job\nfrom rewards.answer import Question\n"
        "pool = Pool(Job('rewards.symbolic', 'checker'), workers=1, deadline=60.0)\n"
        "pool.submit(Question('x', 'x + 0')).result(60)\n"
        "pool.submit(Question('(x+y+z+w)^{900}', '1'))\n"
        "print(psutil.Process().children()[0].pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    child = int(done.stdout)
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} outlived its parent")


def test_a_job_that_cannot_start_says_why() -> None:
    pool = Pool(Job("rewards.symbolic", "no_such_factory"), workers=1, deadline=1.0)
    try:
        judgement = pool.submit(BOMB).result(60)
        assert judgement.score is None
        assert "no_such_factory" in judgement.reason
    finally:
        pool.close()


def test_what_cannot_be_pickled_says_so() -> None:
    pool = Pool(SYMBOLIC, workers=1, deadline=1.0)
    judgement = pool.submit(lambda: None).result(1)
    assert judgement.score is None
    assert "cannot be sent" in judgement.reason


@asynccontextmanager
async def scoring(name: str, **config: Any) -> AsyncIterator[Scorer]:
    term = PythonTerm(path="unruly.py", name=name, parameters=config.pop("parameters", {}))
    recipe = RewardsConfig(terms=(term,), **{"deadline": 0.5, "max_failure_share": 1.0, **config})
    scorer = await Scorer.start(recipe, root=UNRULY)
    try:
        yield scorer
    finally:
        await scorer.close()


def sample(answer: str) -> Sample:
    return Sample(prompt="", response=answer, answer=answer, reference="5", task="exact", thinking=False)


async def test_a_function_that_misbehaves_fails_and_the_next_sample_is_judged() -> None:
    asked = [
        "ok",
        "raise",
        "ok",
        "loop",
        "ok",
        "exit",
        "ok",
        "die",
        "ok",
        "nan",
        "none",
        "recurse",
        "print",
        "sleep",
        "ok",
    ]
    async with scoring("by_request") as scorer:
        verdicts = dict(zip(range(len(asked)), await scorer.score([sample(one) for one in asked]), strict=True))
    said: dict[str, Verdict] = {asked[i]: verdict for i, verdict in verdicts.items()}
    assert {one for one, verdict in said.items() if verdict.reward == 1} == {"ok", "print"}
    assert {one for one, verdict in said.items() if verdict.status == "failed"} == set(asked) - {"ok", "print"}
    assert [verdicts[i].reward for i, one in enumerate(asked) if one == "ok"] == [1.0] * 6
    assert "raised: ValueError: on purpose (unruly.py:" in said["raise"].reason
    assert "timeout: no verdict" in said["loop"].reason
    assert "timeout: no verdict" in said["sleep"].reason
    assert "died" in said["die"].reason
    assert "exit code 3" in said["exit"].reason
    assert "nan" in said["nan"].reason
    assert "None" in said["none"].reason
    assert "RecursionError" in said["recurse"].reason


async def test_an_async_function_runs_where_the_loop_is() -> None:
    async with scoring("patient") as scorer:
        right, wrong = await scorer.score([sample("ok"), sample("raise")])
    assert right.reward == 1.0
    assert (wrong.status, wrong.reason) == ("failed", "patient: raised: patient: RuntimeError: on purpose")


def test_memory_is_limited() -> None:
    job = Job("rewards.calls", "judge_with", ("unruly.py", "by_request", {}, str(UNRULY)))
    pool = Pool(job, workers=1, deadline=5.0, memory_gib=1.0)
    try:
        judgement = pool.submit(sample("memory")).result(60)
        assert judgement.score is None
        assert judgement.reason.startswith("memory: ")
        assert pool.submit(sample("ok")).result(60).score == 1
    finally:
        pool.close()


async def test_plain_answers_start_no_algebra() -> None:
    program = (
        "import asyncio, sys\n"
        "from rewards.grader import Answered, Grader\n"
        "grader = Grader(workers=1, deadline=1.0)\n"
        "found = asyncio.run(grader.grade([Answered('\\\\boxed{5}', '5', 'math'), Answered('red', 'blue', 'exact')]))\n"
        "import psutil\n"
        "print([one.score for one in found], psutil.Process().children(), 'sympy' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[1.0, 0.0] [] False"


async def test_a_whole_recipe_under_fire() -> None:
    recipe = RewardsConfig(terms=(AnswerTerm(weight=0.9), FormatTerm(weight=0.1)), max_failure_share=1.0)
    scorer = await Scorer.start(recipe)
    texts = [
        "\\boxed{5}",
        "\\boxed{\\frac{10}{2}}",
        "\\boxed{(x+y+z+w)^{900}}",
        "\\boxed{9^{9^9}}",
        "5",
        "\\boxed{5} \\boxed{5}",
    ]
    samples = [
        Sample(prompt="", response=text, answer=text, reference="5", task="math", thinking=False) for text in texts
    ]
    try:
        verdicts = await scorer.score(samples)
    finally:
        await scorer.close()
    rewards = [verdict.reward for verdict in verdicts]
    assert rewards == [pytest.approx(1.0), pytest.approx(1.0), None, pytest.approx(0.1), 0.0, pytest.approx(0.9)]
    assert scorer.failures == {"answer: timeout": 1}
