"""Compositions by hand calculation; what judges here is written by hand, and remembers whom it was asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from configs.rewards import RewardsConfig, RewardTerm
from halyard.data.types import Verdict
from halyard.errors import RewardError
from rewards import terms
from rewards.failures import failed
from rewards.grader import Grader
from rewards.judges.court import Court
from rewards.nodes import Judging
from rewards.sample import Judgement, Sample
from rewards.scorer import Scorer

FAILED = failed("timeout", "killed after 1.0 s")


class Table(Judging):
    """Scores by what the response says: `a` and `b` score as written in the table's first and second column."""

    def __init__(self, scores: Mapping[str, float | None], cost: int, whole_groups: bool = False) -> None:
        self.scores, self.cost, self.whole_groups = scores, cost, whole_groups
        self.asked: list[str] = []

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        self.asked += [one.response for one in samples]
        scores = [self.scores[one.response] for one in samples]
        return [FAILED if score is None else Judgement(score, f"{score:g}") for score in scores]


class Bench:
    """A scorer whose rewards `cheap`, `dear` and so on are tables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **tables: Table) -> None:
        self.tables = tables

        def judging(_: terms.Builder, term: Any) -> Table:
            return tables[term.name if isinstance(term, RewardTerm) else term.component]

        monkeypatch.setattr(terms.Builder, "_judging", judging)

    def scorer(self, *written: dict[str, Any], **config: Any) -> Scorer:
        recipe = RewardsConfig.model_validate({"terms": written, "max_failure_share": 1.0, **config})
        grader, court = Grader(workers=1, deadline=1.0), Court(url="http://localhost/v1")
        return Scorer(recipe, terms.Builder(recipe, grader, court, Path()).tree(), grader, court, 100)

    async def verdicts(self, *written: dict[str, Any], tasks: str = "", **config: Any) -> list[Verdict]:
        """The verdicts on responses a, b, c, …, one for each score of the tables."""
        names = next(iter(self.tables.values())).scores
        kinds: list[Any] = tasks.split() or ["math"] * len(names)
        samples = [sample(name, task) for name, task in zip(names, kinds, strict=True)]
        return await self.scorer(*written, **config).score(samples)


def sample(response: str, task: Any = "math", prompt: str = "2+3?") -> Sample:
    return Sample(prompt=prompt, response=response, answer="", reference="5", task=task, thinking=True)


def table(*scores: float | None, cost: int = 0, whole_groups: bool = False) -> Table:
    return Table(dict(zip("abcdefgh", scores, strict=False)), cost, whole_groups)


def named(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "reward", "name": name, **fields}


async def test_a_product_asks_dear_parts_only_where_it_is_not_0_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, dear=table(0.5, 0.5, 0.5, cost=3), cheap=table(1.0, 0.0, 0.8))
    product = {"type": "product", "label": "both", "terms": [named("dear"), named("cheap")]}
    one, nothing, part = await bench.verdicts(product)
    assert [one.reward, nothing.reward, part.reward] == pytest.approx([0.5, 0.0, 0.4])
    assert bench.tables["dear"].asked == ["a", "c"]
    assert part.components == pytest.approx({"cheap": 0.8, "dear": 0.5, "both": 0.4})
    assert nothing.components == {"cheap": 0.0, "both": 0.0}
    assert nothing.reason == "cheap: 0; both: 0 as cheap is 0"


async def test_a_product_that_failed_asks_nobody_else_and_0_decides_whatever_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch, dear=table(1.0, 1.0, cost=3), cheap=table(None, None), other=table(1.0, 0.0))
    product = {"type": "product", "terms": [named("dear"), named("cheap"), named("other")]}
    lost, zero = await bench.verdicts(product)
    assert (lost.reward, lost.reason) == (None, "cheap: timeout: killed after 1.0 s")
    assert (zero.reward, zero.status) == (0.0, "ok")
    assert zero.failures == {"cheap": "timeout: killed after 1.0 s"}
    assert bench.tables["dear"].asked == []


async def test_a_part_with_weight_0_is_asked_about_all_and_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, counts=table(0.0, 1.0), seen=table(0.25, None, cost=3))
    product = {"type": "product", "terms": [named("counts"), named("seen", weight=0)]}
    zero, one = await bench.verdicts(product)
    assert (zero.reward, one.reward) == (0.0, 1.0)
    assert zero.components["seen"] == 0.25
    assert one.failures == {"seen": "timeout: killed after 1.0 s"}


async def test_weights_are_changed_while_terms_live(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, one=table(1.0), two=table(0.0), three=table(None))

    def written(first: float, second: float, third: float) -> list[dict[str, Any]]:
        inner = {"type": "sum", "weight": second, "terms": [named("two"), named("three", weight=third)]}
        return [named("one", weight=first), inner]

    scorer = bench.scorer(*written(1.0, 3.0, 0.0))
    (before,) = await scorer.score([sample("a")])
    assert before.reward == pytest.approx(0.25)
    for weights, reward in [((2.0, 2.0, 0.0), 0.5), ((1.0, 0.0, 1.0), 1.0), ((1.0, 3.0, 1.0), None)]:
        scorer.weigh(RewardsConfig.model_validate({"terms": written(*weights)}))
        (after,) = await scorer.score([sample("a")])
        assert after.reward == (None if reward is None else pytest.approx(reward))


async def test_a_minimum_stops_where_nothing_can_be_less(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, cheap=table(0.0, 0.7, -1.0), thinking=table(0.2, 0.9, 0.9, cost=4))
    least = {"type": "min", "terms": [{"type": "judge", "rubric": "thinking"}, named("cheap")]}
    verdicts = await bench.verdicts(least)
    assert [verdict.reward for verdict in verdicts] == [0.0, 0.7, -1.0]
    assert bench.tables["thinking"].asked == ["b"]  # a judge never scores below 0


async def test_a_minimum_asks_what_may_be_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, cheap=table(0.0), dear=table(-0.5, cost=3))
    (verdict,) = await bench.verdicts({"type": "min", "terms": [named("cheap"), named("dear")]})
    assert verdict.reward == -0.5


async def test_a_gate_is_shut_below_its_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, when=table(0.4, 0.5, None), then=table(0.9, 0.9, 0.9))
    gate = {"type": "gate", "when": named("when"), "at_least": 0.5, "then": named("then"), "otherwise": -0.2}
    shut, open_, lost = await bench.verdicts(gate)
    assert [shut.reward, open_.reward, lost.reward] == [-0.2, 0.9, None]
    assert bench.tables["then"].asked == ["b"]
    assert "closed: when is 0.4, below 0.5" in shut.reason


async def test_clipping(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, raw=table(-3.0, 0.25, 7.0, None))
    verdicts = await bench.verdicts({"type": "clip", "of": named("raw"), "low": -1, "high": 2})
    assert [verdict.reward for verdict in verdicts] == [-1.0, 0.25, 2.0, None]


async def test_routes_by_task(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, maths=table(0.1, 0.1, 0.1), rest=table(0.6, 0.6, 0.6))
    route = {"type": "route", "terms": [named("maths", tasks=["math", "stem"]), named("rest")]}
    verdicts = await bench.verdicts(route, tasks="math open stem")
    assert [verdict.reward for verdict in verdicts] == [0.1, 0.6, 0.1]
    assert (bench.tables["maths"].asked, bench.tables["rest"].asked) == (["a", "c"], ["b"])


async def test_a_route_that_leads_nowhere_pays_nothing_and_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, maths=table(1.0), base=table(0.5))
    route = {"type": "route", "terms": [named("maths", tasks=["math"])]}
    (verdict,) = await bench.verdicts(route, named("base"), tasks="open")
    assert verdict.reward == 0.5  # the sum of what applies
    with pytest.raises(RewardError, match="applies to prompts of task open"):
        await bench.verdicts(route, tasks="open")


async def test_sums_within_sums_and_without_scaling(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, answer=table(1.0), style=table(0.5), length=table(-0.75))
    inner = {"type": "sum", "label": "quality", "terms": [{"type": "answer", "weight": 3}, named("style")]}
    (scaled,) = await bench.verdicts(inner, named("length"))
    assert scaled.components["quality"] == pytest.approx((3 * 1 + 0.5) / 4)
    assert scaled.reward == pytest.approx((0.875 - 0.75) / 2)
    (plain,) = await bench.verdicts({"type": "answer"}, named("length", weight=0.4), scaled=False)
    assert plain.reward == pytest.approx(1 - 0.4 * 0.75)


async def test_a_term_may_score_0_where_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch, code=table(None), style=table(1.0))
    (verdict,) = await bench.verdicts(named("code", zero_if_failed=True, weight=3), named("style"))
    assert (verdict.reward, verdict.status) == (0.25, "ok")
    assert verdict.failures == {"code": "timeout: killed after 1.0 s"}
    assert verdict.components["code"] == 0.0


async def test_a_comparing_reward_sees_whole_groups_and_only_those_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(
        monkeypatch, pairs=table(0.1, 0.2, 0.3, 0.4, cost=4, whole_groups=True), cheap=table(1.0, 0.0, 0.0, 0.0)
    )
    scorer = bench.scorer({"type": "product", "terms": [named("pairs"), named("cheap")]})
    samples = [sample("a", prompt="p"), sample("b", prompt="p"), sample("c", prompt="q"), sample("d", prompt="q")]
    verdicts = await scorer.score(samples)
    assert bench.tables["pairs"].asked == ["a", "b"]
    assert [verdict.reward for verdict in verdicts] == [0.1, 0.0, 0.0, 0.0]
    assert "pairs" not in verdicts[1].components


SAIL = {"type": "sail_mixed"}
CASES = {
    # decision, answer, thinking, format: 0.9 x decision x thinking x answer + 0.1 x format
    "all well": (1.0, 1.0, 1.0, 1.0, 1.0),
    "two of three criteria": (1.0, 1.0, 2 / 3, 1.0, 0.7),
    "wrong, well written": (1.0, 0.0, 1.0, 1.0, 0.1),
    "thinks where it should not": (0.0, 1.0, 1.0, 1.0, 0.1),
    "right, badly written": (1.0, 1.0, 1.0, 0.0, 0.9),
    "nothing": (0.0, 0.0, 0.0, 0.0, 0.0),
}


@pytest.mark.parametrize("case", CASES)
async def test_the_mixed_reward_of_sail_by_hand(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    decision, answer, thinking, form, reward = CASES[case]
    bench = Bench(
        monkeypatch,
        decision=table(decision),
        answer=table(answer, cost=1),
        thinking=table(thinking, cost=4),
        format=table(form),
    )
    (verdict,) = await bench.verdicts(SAIL)
    assert verdict.reward == pytest.approx(reward)
    assert bool(bench.tables["thinking"].asked) == bool(decision and answer)
    assert verdict.components["mixed"] == pytest.approx(decision * answer * thinking)


async def test_the_mixed_reward_leaves_out_what_no_rule_can_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {name: table(0.5, cost=4) for name in ("thinking", "helpfulness", "answer")}
    bench = Bench(monkeypatch, decision=table(1.0), format=table(1.0), **tables)
    (without,) = await bench.verdicts(SAIL, tasks="open")
    assert without.reward == pytest.approx(0.9 * 0.5 + 0.1)
    judged = {**SAIL, "answer_judge": {"type": "judge", "rubric": "helpfulness"}}
    (with_judge,) = await bench.verdicts(judged, tasks="open")
    assert with_judge.reward == pytest.approx(0.9 * 0.25 + 0.1)
    (with_rule,) = await bench.verdicts(judged, tasks="math")
    assert "helpfulness" not in with_rule.components
    assert tables["answer"].asked == ["a"]
