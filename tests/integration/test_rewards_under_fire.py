"""Real processes, hostile answers: every verdict comes in bounded time, and none of the failed ones is a zero."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.samples import direct

from configs.rewards import AnswerTerm, FormatTerm, PythonTerm, RewardsConfig
from halyard.data.types import Verdict
from rewards.grader import Answered, Grader
from rewards.sample import Sample
from rewards.scorer import Scorer

UNRULY = Path(__file__).parent.parent / "support" / "rewards"
DEADLINE = 1.0
BOMB = "+".join(rf"\sin^{{{i}}}({i}x)\cos^{{{i}}}({i}y)" for i in range(2, 30))
"""An expression that no pre-screen knows, and that takes algebra for ever."""

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
    ("5", "\\infty"), ("x", "5"), ("NaN", "5"), ("\\frac{1.7}{10^{19}}", "1.6e-19"), ("3.14159", "\\pi"), ("5 5", "55"),
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


async def test_a_reference_that_cannot_be_read_is_no_zero(grader: Grader) -> None:
    (judgement,) = await grader.grade([answered("x^2", "\\frac{\\frac{")])
    assert judgement.score is None
    assert judgement.reason.startswith("bad reference: ")


@asynccontextmanager
async def scoring(name: str, **config: Any) -> AsyncIterator[Scorer]:
    term = PythonTerm(path="unruly.py", name=name, parameters=config.pop("parameters", {}))
    recipe = RewardsConfig(terms=(term,), **{"deadline": 0.5, "max_failure_share": 1.0, **config})
    scorer = await Scorer.start(recipe, root=UNRULY)
    try:
        yield scorer
    finally:
        await scorer.close()


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
        verdicts = dict(zip(range(len(asked)), await scorer.score([direct(one) for one in asked]), strict=True))
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
        right, wrong = await scorer.score([direct("ok"), direct("raise")])
    assert right.reward == 1.0
    assert (wrong.status, wrong.reason) == ("failed", "patient: raised: patient: RuntimeError: on purpose")


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
        f"\\boxed{{{BOMB}}}",
        "\\boxed{9^{9^9}}",
        "not 4\nbut 5",
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
    assert verdicts[2].reason.startswith("answer: timeout: ")
