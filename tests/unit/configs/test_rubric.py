"""Rubrics: the shipped ones, and what is wrong with others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from configs.rewards import RewardsConfig
from configs.rubric import load_rubric, shipped
from configs.text import read_text
from halyard.data.judge_prompt import consistency_messages
from halyard.errors import ConfigError

SMALL = """\
name: small
description: Is it small?
shows: [answer]
criteria:
  - {name: a, question: Is it?}
  - {name: b, question: Is it indeed?, weight: 3}
"""


def written(folder: Path, text: str) -> str:
    (folder / "small.yaml").write_text(text)
    return "small.yaml"


def test_the_shipped_rubrics() -> None:
    rubrics = shipped()
    assert set(rubrics) == {"consistency", "helpfulness", "pairwise", "thinking"}
    assert all(name == rubric.name for name, rubric in rubrics.items())
    assert [one.name for one in rubrics["thinking"].criteria] == ["logic", "grounding", "consistency"]
    assert len({rubric.fingerprint for rubric in rubrics.values()}) == 4


def test_the_words_of_consistency_are_those_that_the_judge_is_trained_on() -> None:
    wording = load_rubric("consistency").wording
    assert wording is not None
    assert wording.format(reasoning="2 + 3 = 5. so 5.", answer="5") == consistency_messages("2 + 3 = 5. so 5.", "5")


@pytest.mark.parametrize(("combine", "score"), [("mean", (1 + 3 * 0.5) / 4), ("min", 0.5), ("product", 0.5)])
def test_criteria_are_combined(tmp_path: Path, combine: str, score: float) -> None:
    rubric = load_rubric(written(tmp_path, SMALL + f"combine: {combine}\n"), tmp_path)
    assert rubric.score({"a": 1.0, "b": 0.5}) == pytest.approx(score)


def test_a_fingerprint_is_of_all_that_is_said(tmp_path: Path) -> None:
    one = load_rubric(written(tmp_path, SMALL), tmp_path)
    assert one.fingerprint == load_rubric(written(tmp_path, f"# a comment\n{SMALL}"), tmp_path).fingerprint
    assert one.fingerprint != load_rubric(written(tmp_path, SMALL.replace("indeed", "really")), tmp_path).fingerprint


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("shows: [answer]", "shows: [anser]"), "small.yaml:3: shows[0] is \"anser\", expected"),
        (("shows: [answer]", "shows: [prompt]"), "shows has neither answer nor reasoning"),
        (("name: b", "name: a"), "criteria[1].name is a, as another criterion is called already"),
        (("weight: 3", "weigth: 3"), "weight"),
        (("weight: 3", "answers: {yes: 1, no: 2}"), "small.yaml:6: criteria[1].answers"),
        (("weight: 3", "answers: {yes: 1, no: 1}"), "pay all the same"),
        (("weight: 3", "answers: {yes: 1, cannot_tell: 0}"), "have cannot_tell, which is always there"),
        (("shows: [answer]", "shows: [answer]\nform: pair\nneeds_reasoning: true"), "needs_reasoning goes with form"),
        (("shows: [answer]", "shows: [answer]\nwording: '{answer}?'"), "wording goes with one criterion"),
        (("shows: [answer]", "shows: [answer]\nwording: '{reasoning}?'"), "fills in reasoning, which shows does not"),
        ((SMALL, "- a list"), "this is no rubric"),
        ((SMALL, "name: [a"), "this is not YAML"),
    ],
)  # fmt: skip
def test_wrong_rubrics_are_refused_with_the_place(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rubric(written(tmp_path, SMALL.replace(*change)), tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("helpfulnes", "did you mean helpfulness?"),
        ("zzz", "Shipped rubrics: consistency"),
        ("no.yaml", "no.yaml: the file cannot be read"),
    ],
)  # fmt: skip
def test_a_rubric_that_is_not_there(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_rubric(name, tmp_path)


def test_what_the_docs_show_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "judges.md").read_text()
    recipe, rubric = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    config = RewardsConfig.model_validate(read_text(recipe, "judges.md").value["rewards"])
    assert [term.type for term in config.terms] == ["answer", "judge"]
    assert load_rubric(written(tmp_path, rubric), tmp_path).combine == "min"
