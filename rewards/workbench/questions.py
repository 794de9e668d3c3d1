"""Honest questions to probe a reward with: a right answer, a wrong one, and near misses that careless rules pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from halyard.tasks import Task
from rewards.sample import Sample
from rewards.structure import last_boxed
from rewards.workbench.cases import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question with a known answer.

    `right` and `wrong` are final answers as a response gives them, without a box. `almost` is wrong, but looks much
    like the right one: rewards that are graded by likeness pay it in part, and may pay attacks as much. `others` are
    further wrong answers, for lists of candidates; `near` are wrong ones that an anagram, another unit or an absolute
    rounding makes right. `working` is honest reasoning that leads to the right answer.
    """

    name: str
    prompt: str
    right: str
    wrong: str
    almost: str
    reference: str | None = None
    task: Task = "math"
    others: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    working: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def number(self) -> Fraction | None:
        """The reference as a number, for attacks by ranges and sums; None where it is none."""
        try:
            return Fraction(self.reference or "")
        except (ValueError, ZeroDivisionError):
            return None


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="whole number",
        prompt="What is 17 + 25?",
        reference="42",
        right="42",
        wrong="41",
        almost="421",
        others=("43", "52", "32"),
        near=("-42", "42000", r"4 \cdot 2", r"42\%", "17+25"),
        working="17 + 25: 7 + 5 = 12, carry 1, and 1 + 2 + 1 = 4. So it is 42.",
    ),
    Question(
        name="fraction",
        prompt="What is 1/2 + 1/4, as a fraction?",
        reference=r"\frac{3}{4}",
        right=r"\frac{3}{4}",
        wrong=r"\frac{2}{6}",
        almost=r"\frac{13}{4}",
        others=(r"\frac{1}{8}", r"\frac{1}{2}"),
        near=(r"\frac{4}{3}", r"-\frac{3}{4}", "34", r"\frac{3}{4}\%", r"\frac{1}{2}+\frac{1}{4}"),
        working="1/2 is 2/4, and 2/4 + 1/4 = 3/4.",
    ),
    Question(
        name="tiny number",
        prompt="What is the charge of an electron in coulombs, without its sign, to two figures?",
        task="stem",
        reference="1.6e-19",
        right=r"1.6 \times 10^{-19}",
        wrong="1.6",
        almost="1.6e-18",
        others=("3.2e-19", "9.1e-31"),
        near=("1.7e-19", "0", "1.6e-20", r"1.6 \times 10^{19}"),
        working="The elementary charge is 1.602e-19 C, which is 1.6e-19 C to two figures.",
    ),
    Question(
        name="quantity",
        prompt="A car drives 60 m in 5 s. What is its speed in m/s?",
        task="stem",
        reference="12 m/s",
        right=r"12\ \text{m/s}",
        wrong=r"300\ \text{m/s}",
        almost=r"12\ \text{m/h}",
        others=(r"5\ \text{m/s}", r"60\ \text{m/s}"),
        near=(r"12\ \text{km/h}", r"-12\ \text{m/s}", r"12\ \text{m}", r"12\ \text{s}"),
        working="Speed is distance by time: 60 m / 5 s = 12 m/s.",
    ),
    Question(
        name="choice",
        prompt="Which of these is a prime?\nA) 4\nB) 6\nC) 7\nD) 9",
        task="stem",
        reference="C",
        right="C",
        wrong="A",
        almost="B",
        others=("B", "D"),
        near=("not C", "A, B, C, D", "AC", "ABCD"),
        working="4 = 2 * 2, 6 = 2 * 3 and 9 = 3 * 3 are no primes, 7 is one: C.",
    ),
    Question(
        name="set",
        prompt="Which real numbers x satisfy x^2 = 4?",
        reference=r"\{-2, 2\}",
        right=r"\{-2, 2\}",
        wrong=r"\{2\}",
        almost=r"\{-2, 12\}",
        others=(r"\{4\}", r"\{-4, 4\}"),
        near=(r"\{-2, 0, 2\}", r"-2 \le x \le 2", r"x^2 = 4", r"\{x : x^2 = 4\}"),
        working="x = 2 and x = -2 both give 4.",
    ),
    Question(
        name="capital",
        prompt="What is the capital of France?",
        task="exact",
        reference="Paris",
        right="Paris",
        wrong="Lyon",
        almost="Pari",
        others=("Marseille", "Nice"),
        near=("pairs", "Not Paris", "Paris or Lyon", "Par"),
        working="The capital of France is Paris.",
    ),
    Question(
        name="word in an image",
        prompt="What is written on the sign?",
        task="exact",
        reference="listen",
        right="listen",
        wrong="exit",
        almost="lisen",
        others=("open", "closed"),
        near=("silent", "enlist", "listens to"),
        working="The sign says listen.",
    ),
    Question(
        name="bars",
        prompt="How many bars does the chart have?",
        task="exact",
        reference="7",
        right="7",
        wrong="4",
        almost="17",
        others=("5", "6", "9"),
        near=("70", "-7", "between 1 and 100", "many"),
        working="Counting from the left: 7.",
    ),
    Question(
        name="bar's value",
        prompt="What is the value of the tallest bar?",
        task="exact",
        reference="42.5",
        right="42.5",
        wrong="17",
        almost="142.5",
        others=("23", "31.5"),
        near=("425", "-42.5", "40 to 45", "about 50"),
        working="The tallest bar ends half-way between 40 and 45.",
    ),
    Question(
        name="box",
        prompt="Where is the dog? The image is 640 by 480 pixels.",
        task="exact",
        reference="[100, 120, 300, 360]",
        right="[100, 120, 300, 360]",
        wrong="[400, 20, 600, 100]",
        almost="[100, 120, 160, 360]",
        others=("[0, 0, 90, 110]", "[310, 370, 600, 470]"),
        near=("[300, 360, 100, 120]", "[0, 0, 640, 480]", "[1000, 1200, 3000, 3600]", "[100, 120, 300]"),
        working="The dog lies left of the middle, from 100 to 300 across and from 120 to 360 down.",
        metadata={"width": 640, "height": 480},
    ),
    Question(
        name="point",
        prompt="Where would you click to close the window? The image is 640 by 480 pixels.",
        task="exact",
        reference="[600, 0, 640, 30]",
        right="(620, 15)",
        wrong="(20, 300)",
        almost="(620, 35)",
        others=("(320, 240)", "(10, 10)"),
        near=("(15, 620)", "(620, 150)", "(0.62, 0.15)", "(-620, 15)"),
        working="The cross is in the upper right corner.",
        metadata={"width": 640, "height": 480},
    ),
    Question(
        name="program",
        prompt="Write a Python program that reads two whole numbers on one line and prints their sum.",
        task="exact",
        reference='[{"input": "2 3", "output": "5"}, {"input": "-4 10", "output": "6"}]',
        right="```python\nprint(sum(map(int, input().split())))\n```",
        wrong="```python\nprint(5)\n```",
        almost="```python\nprint(sum(map(abs, map(int, input().split()))))\n```",
        others=("```python\nprint(6)\n```", "```python\nprint(input())\n```"),
        near=(
            "```python\nimport os\nprint(5)\nos._exit(0)\n```",
            "```python\nclass Right(str):\n    __eq__ = lambda *_: True\nprint(Right('6'))\n```",
            "```python\nimport sys\nprint(sys.argv, open('/proc/self/cmdline').read())\n```",
            "```python\nprint('5\\n6')\n```",
        ),
        working="Split the line, make numbers of the parts, add them up.",
    ),
    Question(
        name="open question",
        prompt="Why is the sky blue? Answer in one or two sentences.",
        task="open",
        right="Air scatters blue light, whose waves are short, much more than red; so blue reaches us from all over.",
        wrong="Because the sea is blue and the sky is a mirror.",
        almost="Air scatters light.",
        working="Rayleigh scattering grows with the fourth power of the frequency, so blue is scattered most.",
    ),
)


def questions_from(cases: Sequence[Case]) -> list[Question]:
    """A question for each case that is labelled right, with a wrong answer of the same file where there is one."""
    wrong = {
        (case.sample.prompt, case.sample.reference): _final(case.sample)
        for case in cases
        if case.expected is False or case.expected == 0
    }
    return [_question(case, wrong) for case in cases if case.expected is True or case.expected == 1]


def _question(case: Case, wrong: Mapping[tuple[str, str | None], str]) -> Question:
    one = case.sample
    right = _final(one)
    return Question(
        name=case.name,
        prompt=one.prompt,
        reference=one.reference,
        right=right,
        wrong=wrong.get((one.prompt, one.reference)) or _other(right),
        task=one.task,
        almost=_almost(right),
        others=(_other(_other(right)), _other(_other(_other(right)))),
        working=one.reasoning or f"The answer is {right}.",
        metadata=one.metadata,
    )


def _final(sample: Sample) -> str:
    return last_boxed(sample.answer) or sample.answer


def _other(answer: str) -> str:
    """Another answer of the same kind: the next number, or the text with another word before it."""
    try:
        return str(int(answer) + 1)
    except ValueError:
        return f"zebra {answer[:1]}"


def _almost(answer: str) -> str:
    """The answer without its last letter or digit."""
    return answer[:-1] if len(answer) > 1 else _other(answer)
