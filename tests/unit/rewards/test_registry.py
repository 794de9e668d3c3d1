from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from halyard.data.types import Verdict
from halyard.errors import ConfigError, RewardError
from rewards.calls import judge_with, to_judgement
from rewards.registry import LoadedReward, load, mark_of, reward
from rewards.sample import Sample

FILE = """
from __future__ import annotations
from typing import Literal, TYPE_CHECKING
from halyard import Sample, Verdict, reward
if TYPE_CHECKING:
    from collections.abc import Sequence

@reward
def short(
    sample: Sample, limit: int = 5, scale: float = 1.0, words: tuple[str, ...] = (), kind: Literal["a", "b"] = "a"
) -> float:
    return scale * (len(sample.response) <= limit)

@reward
def strict(sample: Sample, *, limit: int) -> float:
    return limit

@reward
async def later(sample: Sample) -> float:
    return 1.0

def plain(sample): return 1.0
"""
SAMPLE = Sample(prompt="2+3?", response="5", answer="5", reference="5", task="exact", thinking=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path


def test_a_reward_is_loaded_by_file_and_set(root: Path) -> None:
    loaded = load("mine.py", "short", {"limit": 0, "scale": 2}, root=root)
    assert (loaded.name, loaded.is_async, loaded.function(SAMPLE)) == ("short", False, 0.0)
    assert load("mine.py", "short", {"scale": 2, "words": ["a"]}, root=root).function(SAMPLE) == 2.0
    assert load("mine.py", "later", root=root).is_async
    assert "mine" not in sys.modules


def test_a_reward_may_say_how_long_it_takes() -> None:
    @reward(seconds="most")
    def slow(sample: Sample, most: float = 4.0) -> float:
        return most

    mark = mark_of(slow)
    assert mark is not None
    assert LoadedReward("slow", slow, mark).seconds == 4
    assert LoadedReward("slow", partial(slow, most=9.0), mark).seconds == 9
    with pytest.raises(RewardError, match="slow has no parameter mots that says its seconds"):
        reward(seconds="mots")(slow)


def test_a_file_hides_no_module(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(FILE)
    load("json.py", "short", root=tmp_path)
    import json

    assert hasattr(json, "dumps")


def test_a_reward_is_loaded_from_a_module(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "my_rewards_module.py").write_text(FILE)
    monkeypatch.syspath_prepend(str(root))
    assert load("my_rewards_module", "short").function(SAMPLE) == 1.0


@pytest.mark.parametrize(
    ("path", "name", "parameters", "said"),
    [
        ("none.py", "short", {}, "there is no such file"),
        ("no.such.module", "short", {}, "there is no such module"),
        ("mine.py", "shrot", {}, "the reward shrot is not there: it has short, strict, later; did you mean short?"),
        ("mine.py", "plain", {}, "the reward plain is not decorated with @reward"),
        ("mine.py", "short", {"limt": 3}, "mine.py: short: has no parameter limt; did you mean limit?"),
        ("mine.py", "short", {"zzz": 3}, "has no parameter zzz; it takes limit, scale, words, kind"),
        ("mine.py", "later", {"zzz": 3}, "has no parameter zzz; it takes none"),
        ("mine.py", "short", {"limit": "3"}, 'its parameter limit is "3", expected a whole number'),
        ("mine.py", "short", {"limit": True}, "its parameter limit is true, expected a whole number"),
        ("mine.py", "short", {"scale": "big"}, 'its parameter scale is "big", expected a number'),
        ("mine.py", "short", {"kind": "c"}, "its parameter kind is \"c\", expected 'a' or 'b'"),
        ("mine.py", "short", {"words": [1]}, "its parameter words.0 is 1, expected text"),
        ("mine.py", "strict", {}, "its parameter limit is missing and has no default"),
    ],
)
def test_wrong_references_are_refused(root: Path, path: str, name: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(path, name, parameters, root=root)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"), [("import no_such_package", "ModuleNotFoundError"), ("exit(0)", "SystemExit")]
)
def test_a_file_that_cannot_run_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(RewardError, match=rf"broken\.py: cannot be run as Python: {said}"):
        load("broken.py", "short", root=tmp_path)


def test_a_reward_takes_a_sample() -> None:
    with pytest.raises(RewardError, match="takes nothing, expected a Sample"):

        @reward
        def nothing() -> float:
            return 1.0


@pytest.mark.parametrize(("returned", "score"), [(1, 1.0), (0.5, 0.5), (True, 1.0), (np.float32(0.5), 0.5), (-2, -2.0)])
def test_numbers_are_scores(returned: object, score: float) -> None:
    assert to_judgement(returned, "mine").score == score


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "mine returned no number: None"),
        ("1.0", "mine returned no number: str '1.0'"),
        ([1.0], "mine returned no number: list [1.0]"),
        (np.array([1.0, 2.0]), "mine returned no number: ndarray array([1., 2.])"),
        (10**400, f"mine returned no number: int {'1' + '0' * 58}…"),
        (float("nan"), "mine returned no finite number: nan"),
        (float("inf"), "mine returned no finite number: inf"),
    ],
)
def test_what_is_no_finite_number_fails(returned: object, said: str) -> None:
    assert to_judgement(returned, "mine")[:2] == (None, f"bad value: {said}")


def test_verdicts_are_taken_over() -> None:
    verdict = Verdict(reward=0.5, components={"style": 0.2}, reason="so so")
    assert to_judgement(verdict, "mine") == (0.5, "so so", {"style": 0.2})
    assert (
        to_judgement(Verdict(reward=None, status="failed", reason="no oracle"), "mine").reason == "undecided: no oracle"
    )


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (Verdict(reward=1.0, components={"style": "good"}), "whose style is no finite number: 'good'"),  # type: ignore[dict-item]
        (Verdict(reward=1.0, components={"style": float("nan")}), "whose style is no finite number: nan"),
        (Verdict(reward=float("inf")), "whose reward is no finite number: inf"),
    ],
)
def test_verdicts_that_cannot_be_added_up_fail(verdict: Verdict, said: str) -> None:
    judgement = to_judgement(verdict, "mine")
    assert judgement.score is None
    assert judgement.reason == f"bad value: mine gave a verdict {said}"


def test_a_component_may_be_called_reward() -> None:
    assert to_judgement(Verdict(reward=0.5, components={"reward": 2.0}), "mine") == (
        0.5,
        "mine gave a verdict",
        {"reward": 2.0},
    )


def test_figures_of_other_libraries_become_plain() -> None:
    judgement = to_judgement(Verdict(reward=np.float32(0.5), components={"n": np.int64(3)}), "mine")
    assert (type(judgement.score), type(judgement.parts["n"])) == (float, float)
    assert json.dumps(judgement.parts) == '{"n": 3.0}'


def test_a_process_judges_with_the_same_function(root: Path) -> None:
    assert judge_with("mine.py", "short", {}, str(root))(SAMPLE).score == 1.0


def test_writing_a_reward_costs_no_cluster(root: Path) -> None:
    program = (
        "import sys; from halyard import Sample, reward, Verdict; import rewards.scorer, configs.load; "
        "print([m for m in ('torch', 'ray', 'vllm', 'transformers', 'sympy', 'deepspeed') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
