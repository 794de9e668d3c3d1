"""Rewards as data: what is refused at any depth of a composition, and what a composition says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recipes_for_tests import written

from configs.judge import JudgeTerm
from configs.load import load_recipe
from configs.rewards import FormatTerm, RewardsConfig, RewardTerm, SailMixedTerm, all_terms
from configs.surroundings import check_surroundings
from halyard.errors import ConfigError

GATE = "{{type: gate, when: {}, then: {{type: format}}}}"
REFUSED = [
    (GATE.format("{type: anwser}"), "terms[0].when has type anwser, expected answer, format"),
    (GATE.format("{type: answer}").replace("when", "wen"), "terms[0].wen is not a known key; did you mean when?"),
    (GATE.format("{type: answer, weight: 0.5}"), "terms[0].when.weight is 0.5, expected 1: weights count in a sum"),
    ("{type: product, terms: []}", "terms[0].terms is a list of 0, expected at least 1 of them"),
    ("{type: product, terms: [{type: format, weight: 2}]}", "terms[0].terms[0].weight is 2, expected 1, or 0 to"),
    ("{type: min, terms: [{type: format, weight: 0}]}", "terms[0].terms all have weight 0"),
    ("{type: sum, terms: [{type: format, weight: 0}]}", "terms[0].terms all have weight 0"),
    ("{type: overlong, longest: 40, buffer: 10}", "is 40: with buffer 10 no response of 24 tokens is penalised"),
    ("{type: overlong, longest: 4, buffer: 10}", "buffer is 10, expected at most longest, which is 4"),
    ("{type: clip, of: {type: format}, low: 2}", "low is 2, expected at most high, which is 1"),
    ("{type: sum, terms: [{type: judge}]}", "terms[0].terms[0] has no url, and no earlier sft stage"),
    ("{type: sail_mixed}", "terms[0].judge has no url, and no earlier sft stage"),
    ("{type: reward, name: thinking}", "terms[0] has no url, and no earlier sft stage"),
    ("{type: reward, name: thinking, parameters: {vots: 3}}", "vots is none of a judge's; did you mean votes?"),
    ("{type: reward, name: exact, signature: tlr}", 'signature is "tlr", expected trl, trl_text, verl, verl_batch'),
    ("{type: reward, name: exact, timeout: 0}", "timeout is 0, expected more than 0"),
]  # fmt: skip


@pytest.mark.parametrize(("term", "said"), REFUSED)
def test_wrong_terms_are_refused(tmp_path: Path, term: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(written(tmp_path), [f"rl.rewards.terms=[{term}]"])
    assert said in str(caught.value)


def test_files_are_looked_for_at_any_depth(tmp_path: Path) -> None:
    term = "rl.rewards.terms=[{{type: product, terms: [{{type: reward, name: '{}'}}]}}]"
    for name, said in (("mine.py", "terms[0].name is mine.py, but there is no file"), ("none.py:f", "no file")):
        with pytest.raises(ConfigError) as caught:
            check_surroundings(load_recipe(written(tmp_path), [term.format(name)]))
        assert said in str(caught.value)
    (tmp_path / "mine.py").write_text("def long(sample): ...\n")
    check_surroundings(load_recipe(written(tmp_path), [term.format("mine.py:long")]))
    with pytest.raises(ConfigError, match="defines no function of that name: it has long"):
        check_surroundings(load_recipe(written(tmp_path), [term.format("mine.py:short")]))


def test_terms_are_found_at_any_depth_with_their_keys() -> None:
    config = RewardsConfig.model_validate(
        {
            "terms": [
                {"type": "answer"},
                {
                    "type": "gate",
                    "when": {"type": "format"},
                    "then": {"type": "clip", "of": {"type": "reward", "name": "thinking", "weight": 1}},
                },
                {"type": "sail_mixed", "judge": {"type": "judge", "rubric": "thinking", "url": "http://x/v1"}},
            ]
        }
    )
    found = [(keys, term.type) for keys, term in all_terms(config.terms)]
    assert found == [
        (("terms", 0), "answer"),
        (("terms", 1), "gate"),
        (("terms", 1, "when"), "format"),
        (("terms", 1, "then"), "clip"),
        (("terms", 1, "then", "of"), "judge"),  # a rubric's name stands for a judge
        (("terms", 2), "sail_mixed"),
        (("terms", 2, "judge"), "judge"),
        (("terms", 2), "answer"),
        (("terms", 2), "format"),
    ]


def test_a_rubric_by_name_is_a_judge_with_its_parameters() -> None:
    term = RewardTerm(name="helpfulness", weight=0.3, tasks=("open",), timeout=5.0, parameters={"votes": 3})
    judge = term.judge()
    assert isinstance(judge, JudgeTerm)
    assert (judge.rubric, judge.votes, judge.timeout) == ("helpfulness", 3, 5.0)
    assert (judge.weight, judge.tasks, judge.component) == (0.3, ("open",), "helpfulness")
    assert RewardTerm(name="exact").judge() is None


def test_components_are_called_after_what_judges() -> None:
    named = {"exact": "exact", "mine.py": "mine", "rewards/mine.py:short": "short", "acme:polite": "polite"}
    assert {name: RewardTerm(name=name).component for name in named} == named


def test_the_mixed_reward_of_sail_is_what_its_paper_says() -> None:
    whole = SailMixedTerm(judge=JudgeTerm(rubric="thinking", url="http://x/v1")).composition()
    product, form = whole.terms
    assert (product.weight, product.type, form) == (0.9, "product", FormatTerm(weight=0.1))
    assert [part.component for part in product.terms] == ["decision", "answer", "thinking"]  # pyright: ignore
