"""What questions cost, and what keeps them from costing more: the cache, limits by the minute, budgets."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from support.chat_server import Asked, Reply, rules

from configs.judge import JudgeTerm
from halyard.errors import RewardError
from rewards.judges.court import Court
from rewards.judges.limits import Bucket
from rewards.judges.store import FILE, Cost, Store

SOUND = {"logic": "yes", "grounding": "yes", "consistency": "yes"}


def sound(asked: Asked, pause: float = 0.0) -> Reply:
    """A verdict that says it took 900 tokens in and 100 out."""
    reply = rules(asked, **SOUND)
    reply.body["usage"] = {"prompt_tokens": 900, "completion_tokens": 100}
    reply.pause = pause
    return reply


async def test_the_same_question_is_asked_once_even_at_the_same_time(benched, sample) -> None:
    async with benched(lambda asked: sound(asked, 0.05)) as bench:
        assert [one.score for one in await bench.judge(sample(), sample(), sample(6))] == [1.0, 1.0, 1.0]
        assert [one.score for one in await bench.judge(sample())] == [1.0]
        figures = bench.judging.figures()
    assert len(bench.server.asked) == 2
    assert (figures["calls"], figures["shared"], figures["cache_hits"]) == (2, 1, 1)


async def test_a_failure_is_not_kept(benched, sample) -> None:
    async with benched(lambda asked: sound(asked) if asked.number else Reply(400, "no"), structured="never") as bench:
        assert [one.score for one in await bench.judge(sample())] == [None]
        assert [one.score for one in await bench.judge(sample())] == [1.0]


async def calls(server_url: str, folder: Path, sample: Any, **changes: Any) -> float:
    """How many calls a question takes with what earlier courts kept in the folder."""
    court = Court(folder=folder, url=server_url, version=changes.pop("version", "1"))
    judging = court.judging(JudgeTerm(**{"rubric": "thinking", **changes}))
    (judgement,) = await judging.judge([sample])
    await court.close()
    assert judgement.score == 1.0
    return judging.figures()["calls"]


async def test_answers_outlive_the_run_and_are_kept_by_all_that_matters(benched, sample, tmp_path: Path) -> None:
    async with benched(sound) as bench:
        url = bench.server.url
        assert await calls(url, tmp_path, sample()) == 1
        assert await calls(url, tmp_path, sample()) == 0
        for changes in (
            {"model": "other"},
            {"temperature": 0.5},
            {"max_tokens": 77},
            {"body": {"top_p": 0.9}},
            {"version": "2"},
            {"votes": 3, "temperature": 0.0},  # the first vote is kept already
        ):
            assert await calls(url, tmp_path, sample(), **changes) == (2 if "votes" in changes else 1), changes
        assert await calls(url, tmp_path, sample(prompt="What is 3 + 2?")) == 1
        assert await calls(url, tmp_path, sample(), rubric=_changed_rubric(tmp_path)) == 1


def _changed_rubric(folder: Path) -> str:
    from configs.rubric import SHIPPED

    changed = folder / "thinking.yaml"
    changed.write_text((SHIPPED / "thinking.yaml").read_text().replace("Is the reasoning coherent", "Is it coherent"))
    return str(changed)


async def test_other_runs_share_a_cache_that_the_recipe_names(benched, sample, tmp_path: Path) -> None:
    async with benched(sound, root=tmp_path, cache="kept") as bench:
        await bench.judge(sample())
    assert (tmp_path / "kept" / FILE).is_file()


async def test_a_damaged_cache_is_told_of(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database" * 100)
    with pytest.raises(RewardError, match="cannot be kept there: file is not a database; make room, or move the file"):
        Store(tmp_path)


async def test_tokens_and_money_are_counted_and_told_at_the_end(benched, sample) -> None:
    async with benched(sound, prices={"input": 2.0, "output": 10.0}) as bench:
        await bench.judge(sample(), sample(6))
        figures = bench.judging.figures()
        assert (figures["calls"], figures["prompt_tokens"], figures["completion_tokens"]) == (2, 1800, 200)
        assert figures["money"] == pytest.approx((1800 * 2 + 200 * 10) / 1e6)
        assert 0 < figures["seconds_mean"] <= figures["seconds_p95"] < 5
        assert bench.judging.figures()["calls"] == 0  # since the last look
        await bench.court.close()
    (costs,) = bench.told("judge_costs")
    assert (costs["rubric"], costs["calls"], costs["prompt_tokens"]) == ("thinking", 2, 1800)


BUDGETS = [
    ({"calls": 3}, "3 of the budget of 3 calls"),
    # A question may take about 780 tokens in and 1024 out: after two of 1000 there is no room for another.
    ({"tokens": 3500}, "2000 of the budget of 3500 tokens"),
    ({"money": 0.0035}, "of the budget of 0.0035 money"),
]


@pytest.mark.parametrize(("budget", "said"), BUDGETS)
async def test_a_budget_is_not_overdrawn_even_at_once(benched, sample, budget: dict[str, Any], said: str) -> None:
    prices = {"input": 1.0, "output": 1.0}
    async with benched(lambda asked: sound(asked, 0.02), budget=budget, prices=prices) as bench:
        judged = await bench.judge(*map(sample, range(20)))
        spent = len(bench.server.asked)
        assert sum(one.score == 1.0 for one in judged) == spent == (3 if "calls" in budget else 2)
        lost = [one for one in judged if one.score is None]
        assert len(lost) == 20 - spent
        assert all(one.reason.startswith("judge: budget: ") and said in one.reason for one in lost)
        assert bench.told("judge_down") == []


async def test_a_budget_holds_over_resumed_runs(benched, sample, tmp_path: Path) -> None:
    async with benched(sound) as bench:
        for run in range(2):
            court = Court(url=bench.server.url, folder=tmp_path)
            judging = court.judging(JudgeTerm(rubric="thinking", budget={"calls": 3}))
            judged = await judging.judge([sample(2 * run), sample(2 * run + 1)])
            await court.close()
    assert [one.score for one in judged] == [1.0, None]


async def test_a_run_may_stop_when_its_budget_is_spent(benched, sample) -> None:
    async with benched(sound, budget={"calls": 1}, on_outage="stop") as bench:
        with pytest.raises(RewardError, match="budget: 1 of the budget of 1 calls are spent"):
            await bench.judge(sample(), sample(6))


async def test_no_more_questions_at_once_than_allowed(benched, sample) -> None:
    async with benched(lambda asked: sound(asked, 0.02), concurrency=3) as bench:
        await bench.judge(*map(sample, range(15)))
    assert bench.server.most_at_once == 3


async def test_terms_with_the_same_endpoint_share_its_limits(benched, sample) -> None:
    async with benched(lambda asked: sound(asked, 0.02), concurrency=2, budget={"calls": 5}) as bench:
        alike = {"url": bench.server.url, "timeout": 2.0, "patience": 5.0, "concurrency": 2, "budget": {"calls": 5}}
        term = JudgeTerm(rubric="thinking", votes=3, **alike)
        other = bench.court.judging(term)
        await asyncio.gather(bench.judge(*map(sample, range(5))), other.judge([sample(8)]))
    assert len(bench.server.asked) == 5
    assert bench.server.most_at_once == 2


async def test_requests_keep_to_a_rate(benched, sample) -> None:
    async with benched(sound, rate={"requests": 1200}) as bench:
        began = time.monotonic()
        await bench.judge(*map(sample, range(30)))
        # 20 at once, and the other 10 at 20 a second, less the first second's share
        assert time.monotonic() - began > 10 / (1200 - 20) * 60 * 0.9


async def test_a_bucket_pays_off_what_was_larger_than_it() -> None:
    bucket = Bucket(6000)  # 100 at once, 98.3 a second
    began = time.monotonic()
    await bucket.take(120)
    assert time.monotonic() - began < 0.05
    await bucket.take(1)
    assert 0.2 < time.monotonic() - began < 0.5
    bucket.correct(-100)
    await bucket.take(50)
    assert time.monotonic() - began < 0.5


def test_costs_add_up_on_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):
        store.spend("judge", Cost(1, 10, 5, 0.25))
    store.close()
    assert Store(tmp_path).spent("judge") == Cost(2, 20, 10, 0.5)
    assert Store(tmp_path).spent("another") == Cost()
