r"""Unit tests of rewards in a few lines, for pytest or anything else that knows `assert`.

from halyard.testing import check_cases, check_probe, verdict
from my_rewards import concise

def test_it_pays_for_the_answer():
    assert verdict(concise, answer="5", reference="5").reward == 1.0

def test_my_cases():
    check_cases(concise, "cases.jsonl")

def test_it_cannot_be_hacked():
    check_probe(concise)

Rewards run as they do in a run: in processes of their own, with the deadline of a recipe. A reward is given as the
function itself, or by name: a shipped one, FILE.py:FUNCTION, or RECIPE.yaml:STAGE for composed rewards.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from threading import Thread
from typing import Any

from halyard.data.types import Verdict
from halyard.errors import ConfigError
from halyard.tasks import Task
from rewards.workbench import cases, labels, questions, trial
from rewards.workbench.cases import Case, commit, sample
from rewards.workbench.labels import THRESHOLD, WRONG, Scored

Reward = str | Callable[..., Any]
__all__ = ["check_cases", "check_probe", "verdict"]


def verdict(
    reward: Reward,
    *,
    answer: str | None = None,
    response: str | None = None,
    reference: str | None = None,
    task: Task = "math",
    prompt: str = "",
    metadata: dict[str, Any] | None = None,
    **parameters: Any,
) -> Verdict:
    r"""The verdict on one response, given whole, or as its final answer, which is boxed for math and stem.

    Raises:
        ConfigError: the reward or a parameter is wrong, or there is not exactly one of answer and response.
    """
    if (answer is None) == (response is None):
        raise ConfigError("expected either answer or response")
    text = response if response is not None else commit(answer or "", task)
    one = sample(text, reference=reference, task=task, prompt=prompt, metadata=metadata)
    scored, _ = _wait(trial.score_cases(_name(reward), [Case(name="case", sample=one)], parameters))
    return scored[0].verdict


def check_cases(
    reward: Reward, file: str | Path, *, gate: float = 1.0, threshold: float = THRESHOLD, **parameters: Any
) -> None:
    """Nothing, when at least the share `gate` of the labelled cases of a JSONL file is judged as labelled.

    Raises:
        AssertionError: it is not; the message lists each case that is not.
        ConfigError: the reward or a parameter is wrong, or no case is labelled.
        DataError: the file is wrong.
    """
    given = cases.read(Path(file))
    scored, _ = _wait(trial.score_cases(_name(reward), given, parameters, threshold=threshold))
    total = labels.tally(scored)
    if total.accuracy is None:
        raise ConfigError(f"{file}: no case has an expected, so that there is nothing to check")
    if total.accuracy < gate:
        wrong = [one for one in scored if one.outcome in WRONG]
        head = f"{len(wrong)} of {total.labelled} cases of {file} are not judged as labelled:"
        raise AssertionError("\n".join([head, *map(_line, wrong)]))


def check_probe(reward: Reward, file: str | Path | None = None, **parameters: Any) -> None:
    """Nothing, when no attack of `halyard reward probe` earns anything; `file` has cases to build attacks on.

    Raises:
        AssertionError: one does; the message lists each.
        ConfigError: the reward or a parameter is wrong, or nothing could be learnt of it.
        DataError: the file is wrong.
    """
    asked = questions.QUESTIONS if file is None else questions.questions_from(cases.read(Path(file)))
    found, _ = _wait(trial.probe_reward(_name(reward), parameters, questions=asked))
    if found.earned:
        lines = [f"{one.attack}: {one.sample.response[:200]!r} earned {one.verdict.reward:g}" for one in found.earned]
        raise AssertionError("\n".join([f"{len(lines)} attacks earned something:", *lines]))


def _line(one: Scored) -> str:
    case, found = one.case, one.verdict
    response = case.sample.response[:200]
    return f"{case.name}: {one.outcome}: {response!r}, expected {case.expected}, got {found.reward}: {found.reason}"


def _name(reward: Reward) -> str:
    """A reward's name; a function's is its file and its own."""
    if isinstance(reward, str):
        return reward
    file = inspect.getsourcefile(reward)
    if file is None:
        raise ConfigError(f"{reward!r} is in no file: rewards are loaded from files, by processes of their own")
    return f"{file}:{reward.__name__}"


def _wait(work: Coroutine[Any, Any, Any]) -> Any:
    """What the work comes to, in a thread with a loop of its own: the caller may be in a loop already."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(work))
        except BaseException as error:
            outcome.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
