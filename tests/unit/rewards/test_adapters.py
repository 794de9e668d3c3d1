"""Rewards of other trainers as their own documentation writes them, called as their homes call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from halyard.errors import ConfigError
from rewards.adapters import foreign
from rewards.calls import awaited, safely
from rewards.registry import load
from rewards.sample import Judgement, Sample

FILES = {
    # TRL, GRPOTrainer: conversational data; keyword arguments, columns of the data set, a list of floats or None
    "trl.py": r"""
import re

def accuracy(completions, solution, **kwargs):
    contents = [completion[0]["content"] for completion in completions]
    found = [re.search(r"\\boxed\{(.*?)\}", content) for content in contents]
    return [None if s is None else float(bool(f) and f.group(1) == s) for f, s in zip(found, solution)]

def columns(prompts, completions, completion_ids, level, log_extra, log_metric):
    assert [turn["role"] for prompt in prompts for turn in prompt] == ["user"] * len(prompts)
    log_extra("length", [len(ids) for ids in completion_ids])
    log_extra("said", ["no" for _ in prompts])
    log_metric("share", 0.25)
    return [0.1 * int(one) for one in level]

async def later(prompts, completions, **kwargs):
    return [float(len(completion[0]["content"])) for completion in completions]

def scheduled(completions, trainer_state):
    return [1.0 for _ in completions]

def texts(completions, **kwargs):
    return [len(completion) / 10 for completion in completions]
""",
    # verl, custom_reward_function: keywords, extra keywords from reward_kwargs, a float or a dictionary with "score"
    "verl.py": r"""
def compute_score(data_source, solution_str, ground_truth, extra_info=None, bonus: float = 0.0):
    assert data_source == "geometry" and extra_info["level"] in ("1", "2")
    return {"score": float(ground_truth in solution_str) + bonus, "acc": 1, "pred": solution_str[-3:]}

def plain(solution_str, ground_truth, **kwargs):
    return kwargs.get("scale", 1.0) * (ground_truth in solution_str)

def compute_score_batch(data_sources, solution_strs, ground_truths, extra_infos, **kwargs):
    return [{"score": float(g in s)} for s, g in zip(solution_strs, ground_truths)]
""",
    # verifiers, Rubric: whatever it names, messages as lists, the answer as text
    "verifiers.py": r"""
def correct(parser, completion, answer) -> float:
    return 1.0 if (parser.parse_answer(completion) or "") == answer else 0.0

async def by_state(state, info) -> float:
    assert state["completion"][-1]["role"] == "assistant" and state["info"] == info
    return float(info["level"])

def longest(completions, answers) -> list[float]:
    lengths = [len(one[-1]["content"]) for one in completions]
    return [float(length == max(lengths)) for length in lengths]
""",
    # EasyR1: one positional argument
    "easyr1_batch.py": r"""
from typing import Any
REWARD_NAME, REWARD_TYPE = "math", "batch"

def helper(response): return 0.5

def compute_score(reward_inputs: list[dict[str, Any]], format_weight: float = 0.1) -> list[dict[str, float]]:
    if not isinstance(reward_inputs, list):
        raise ValueError("Please use `reward_type=batch`.")
    scores = []
    for one in reward_inputs:
        accuracy = float(one["ground_truth"] in one["response"])
        form = float(one["response_length"] > 3)
        overall = (1 - format_weight) * accuracy + format_weight * form
        scores.append({"overall": overall, "format": form, "accuracy": accuracy})
    return scores
""",
    "easyr1.py": r"""
REWARD_TYPE = "sequential"

def compute_score(reward_input, scale: int = 1):
    return {"overall": scale * float(reward_input["response_length"]), "seen": 1.0}
""",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def sample(answer: str = "5", level: str = "1", reference: str | None = "5", tokens: int = 4) -> Sample:
    return Sample(
        prompt="2+3?",
        response=rf"<think>so</think>\boxed{{{answer}}}",
        reasoning="so",
        answer=rf"\boxed{{{answer}}}",
        reference=reference,
        task="math",
        thinking=True,
        family="geometry",
        response_tokens=tokens,
        response_token_ids=tuple(range(tokens)),
        metadata={"level": level},
    )


RIGHT, WRONG = sample(), sample("6", "2", tokens=2)


def scores(loaded: Any, *samples: Sample) -> list[float | None]:
    if loaded.mark.form == "single":
        return [safely(loaded, [one])[0].score for one in samples]
    return [one.score for one in safely(loaded, samples)]


def test_trl(root: Path) -> None:
    accuracy = load("trl.py", "accuracy", root=root)
    assert accuracy.mark.form == "batch"
    right, wrong, unknown = safely(accuracy, [RIGHT, WRONG, sample(reference=None)])
    assert (right.score, wrong.score) == (1.0, 0.0)
    assert unknown.reason == (
        "bad reference: it returned None: it cannot judge this; `tasks` of the term can leave it out"
    )


def test_trl_with_columns_and_logs(root: Path) -> None:
    one, two = safely(load("trl.py", "columns", root=root), [RIGHT, WRONG])
    assert one == Judgement(0.1, "0.1; said: no", {"length": 4.0, "share": 0.25})
    assert two.parts == {"length": 2.0, "share": 0.25}
    fixed = load("trl.py", "columns", {"level": ["7", "8"]}, root=root)
    assert scores(fixed, RIGHT, WRONG) == pytest.approx([0.7, 0.8])  # a recipe may set what is no column


async def test_trl_async_and_with_plain_texts(root: Path) -> None:
    later = load("trl.py", "later", root=root)
    assert later.is_async
    (judgement,) = await awaited(later, [RIGHT], 1.0)
    assert judgement.score == len(RIGHT.response)
    texts = load("trl.py", "texts", signature="trl_text", root=root)
    assert scores(texts, RIGHT) == [len(RIGHT.response) / 10]


def test_verl(root: Path) -> None:
    loaded = load("verl.py", "compute_score", {"bonus": 0.5}, root=root)
    (judgement,) = safely(loaded, [RIGHT])
    assert judgement == Judgement(1.5, r"1.5; pred: 5}".replace("5}", RIGHT.response[-3:]), {"acc": 1.0})
    assert scores(loaded, WRONG) == [0.5]
    assert scores(load("verl.py", "plain", {"scale": 3}, root=root), RIGHT, WRONG) == [3.0, 0.0]
    assert scores(load("verl.py", "compute_score_batch", root=root), RIGHT, WRONG) == [1.0, 0.0]


async def test_verifiers(root: Path) -> None:
    assert scores(load("verifiers.py", "correct", root=root), RIGHT, WRONG) == [1.0, 0.0]
    (judgement,) = await awaited(load("verifiers.py", "by_state", root=root), [WRONG], 1.0)
    assert judgement.score == 2.0
    group = load("verifiers.py", "longest", root=root)
    assert group.mark.form == "group"
    assert scores(group, RIGHT, sample("42")) == [0.0, 1.0]


def test_easyr1(root: Path) -> None:
    batch = load("easyr1_batch.py", "compute_score", {"format_weight": 0.2}, root=root)
    right, wrong = safely(batch, [RIGHT, WRONG])
    assert right == Judgement(1.0, "1", {"format": 1.0, "accuracy": 1.0})
    assert wrong.score == 0.0
    one = load("easyr1.py", "compute_score", {"scale": 3}, root=root)
    assert one.mark.form == "single"
    assert scores(one, RIGHT, WRONG) == [12.0, 6.0]


@pytest.mark.parametrize(
    ("file", "name", "parameters", "said"),
    [
        ("verl.py", "compute_score", {"bonu": 1}, "has no parameter bonu; did you mean bonus?"),
        ("verl.py", "compute_score", {"bonus": "much"}, 'its parameter bonus is "much", expected a number'),
        ("verl.py", "compute_score", {"ground_truth": "5"}, "has no parameter ground_truth; it takes bonus"),
        ("trl.py", "scheduled", {}, "asks for trainer_state, which only its own trainer has"),
        ("easyr1.py", "compute_score", {"scale": 0.5}, "its parameter scale is 0.5, expected a whole number"),
        ("easyr1_batch.py", "helper", {}, "has not the signature of TRL, verl, verifiers or EasyR1: it has compute"),
    ],
)
def test_wrong_parameters_are_refused(root: Path, file: str, name: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(file, name, parameters, root=root)
    assert said in str(refusal.value)


def test_a_column_that_is_not_there_fails_by_its_name(root: Path) -> None:
    bare = Sample(prompt="", response="5", answer="5", reference="5", task="exact", thinking=False)
    (judgement,) = safely(load("trl.py", "columns", root=root), [bare])
    assert judgement.score is None
    assert judgement.reason.startswith("raised: columns: TypeError")
    assert "'level'" in judgement.reason


def test_a_signature_is_told_by_the_names_of_parameters() -> None:
    def house(sample): ...
    def nothing(): ...

    assert foreign(house) is None
    assert foreign(nothing) is None
    assert foreign("text") is None
