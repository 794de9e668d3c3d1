"""Judge terms at work: responses judged one by one, or compared within their group."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import combinations

from configs.judge import JudgeTerm
from configs.rubric import Rubric
from halyard.errors import DataError, RewardError
from rewards.failures import failed
from rewards.judges.breaker import Breaker
from rewards.judges.judge import Judge
from rewards.judges.pictures import Picture, pictures
from rewards.judges.unanswered import Down, Spent, Unanswered
from rewards.judges.view import texts, unasked
from rewards.judges.wording import Question
from rewards.nodes import Judging, by_group
from rewards.sample import Judgement, Sample

MOST_MISSING = 0.5
"""Share of a response's comparisons that may be missing."""
CONTEXT = ("prompt", "reference")
WRITTEN = ("reasoning", "answer")
Pictures = dict[str, tuple[Picture, ...] | Judgement]


class JudgeJudging(Judging):
    """A judge term that is live; what both ways of judging share: unasked verdicts, pictures, failures, figures.

    To `judge` raises RewardError where the judge is down or its budget spent, and the term's on_outage is stop.
    """

    cost = 4

    def __init__(self, term: JudgeTerm, rubric: Rubric, judge: Judge, breaker: Breaker) -> None:
        self._term, self._rubric, self._judge, self._breaker = term, rubric, judge, breaker

    def figures(self) -> dict[str, float]:
        """What was counted since the last look, by name."""
        return self._judge.figures.look()

    async def close(self) -> None:
        """Call off what is under way."""
        await self._judge.close()

    def _unasked(self, sample: Sample) -> Judgement | None:
        known = unasked(self._rubric, sample)
        if known is not None:
            self._judge.figures.count("refused")
        return known

    async def _shown(self, samples: Sequence[Sample]) -> Pictures:
        """The pictures of the samples' prompts by how these name them, each encoded once and off the loop."""
        shown: Pictures = {}
        for images in (sample.images for sample in samples):
            if (name := repr(images)) in shown:
                continue
            wanted = images if "images" in self._rubric.shows else ()
            try:
                shown[name] = await asyncio.to_thread(pictures, wanted) if wanted else ()
            except DataError as error:
                shown[name] = failed("bad sample", str(error))
        return shown

    def _failed(self, failure: Unanswered) -> Judgement:
        """The failed judgement of one response, unless the run is to stop.

        Raises:
            RewardError: the judge is down or its budget spent, and on_outage is stop.
        """
        self._judge.figures.count("failed")
        what = "budget" if isinstance(failure, Spent) else "down" if isinstance(failure, Down) else "no verdict"
        if isinstance(failure, Down | Spent):
            if self._term.on_outage == "stop":
                raise RewardError(
                    f"the judge {self._term.model} ({self._term.component}): {what}: {failure}. The recipe says to "
                    "stop (on_outage: stop): bring it back or give it a larger budget, and go on with --resume"
                )
            self._judge.figures.count("lost")
            self._breaker.lose(1)
        return failed("judge", f"{what}: {failure}")


class SingleJudging(JudgeJudging):
    """A score for each response by itself, with a part for each criterion where there are several."""

    whole_groups = False

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement a sample, in their order."""
        known = [self._unasked(sample) for sample in samples]
        shown = await self._shown([one for one, judgement in zip(samples, known, strict=True) if judgement is None])
        asked = (self._one(one, judgement, shown) for one, judgement in zip(samples, known, strict=True))
        return list(await asyncio.gather(*asked))

    async def _one(self, sample: Sample, known: Judgement | None, shown: Pictures) -> Judgement:
        if known is not None:
            return known
        seen = shown[repr(sample.images)]
        if isinstance(seen, Judgement):
            return seen
        question = Question(texts(self._rubric, sample, *CONTEXT, *WRITTEN), seen)
        try:
            count = await self._judge.rule(question)
        except Unanswered as failure:
            return self._failed(failure)
        return Judgement(count.score, count.reason, count.figures if len(count.figures) > 1 else {})


class PairJudging(JudgeJudging):
    """The share of comparisons that a response wins in its group; each is made in both orders.

    A judge that takes whatever stands first gives half a point to both. A refused response loses to all others.
    """

    whole_groups = True

    async def judge(self, samples: Sequence[Sample]) -> list[Judgement]:
        """One judgement a sample, in their order; those of one prompt are a group."""
        return await by_group(samples, self._group)

    async def _group(self, group: Sequence[Sample]) -> list[Judgement]:
        known = [self._unasked(sample) for sample in group]
        seen = (await self._shown(group[:1]))[repr(group[0].images)]
        if isinstance(seen, Judgement):
            return [seen if judgement is None else judgement for judgement in known]
        pairs = _pairs(len(group), self._term.opponents)
        compared = await asyncio.gather(*(self._compare(group, known, pair, seen) for pair in pairs))
        outcomes = dict(zip(pairs, compared, strict=True))
        return [
            judgement if judgement is not None else self._tally(index, outcomes)
            for index, judgement in enumerate(known)
        ]

    async def _compare(
        self,
        group: Sequence[Sample],
        known: Sequence[Judgement | None],
        pair: tuple[int, int],
        seen: tuple[Picture, ...],
    ) -> tuple[float, float] | Unanswered:
        """What the first of a pair won when it was shown first, and when it was shown second."""
        one, other = pair
        if known[one] is not None or known[other] is not None:
            won = float(known[one] is None)
            return won, won
        first, second = (texts(self._rubric, group[i], *WRITTEN) for i in pair)
        if first == second:
            return 0.5, 0.5
        context = texts(self._rubric, group[one], *CONTEXT)
        try:
            forth, back = await asyncio.gather(
                self._judge.rule(Question((*context, *_titled("first", first), *_titled("second", second)), seen)),
                self._judge.rule(Question((*context, *_titled("first", second), *_titled("second", first)), seen)),
            )
        except Unanswered as failure:
            return failure
        return forth.score, 1 - back.score

    def _tally(self, index: int, outcomes: dict[tuple[int, int], tuple[float, float] | Unanswered]) -> Judgement:
        """The share of a response's comparisons that it won; failed where too many of them are missing."""
        won, missing, swayed = [], [], 0
        for (one, _), outcome in ((pair, outcome) for pair, outcome in outcomes.items() if index in pair):
            if isinstance(outcome, Unanswered):
                missing.append(outcome)
                continue
            mean = sum(outcome) / 2
            won.append(mean if index == one else 1 - mean)
            swayed += outcome[0] != outcome[1]
        if not won and not missing:
            return Judgement(0.5, "alone in its group: nothing to compare with")
        if len(missing) > MOST_MISSING * (len(won) + len(missing)):
            return self._failed(missing[0])
        reason = f"won {sum(won):g} of {len(won)} comparisons, {swayed} of them swayed by the order [{self._judge.by}]"
        return Judgement(sum(won) / len(won), reason, {"swayed": swayed / len(won)})


def _pairs(size: int, opponents: int | None) -> list[tuple[int, int]]:
    """Who is compared with whom: all with all, or each with so many that follow it around the ring."""
    if opponents is None or opponents >= size - 1:
        return list(combinations(range(size), 2))
    steps = range(1, (opponents + 1) // 2 + 1)
    ring = {(min(i, (i + step) % size), max(i, (i + step) % size)) for i in range(size) for step in steps}
    return sorted(ring)


def _titled(which: str, written: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(f"{which} {name}", text) for name, text in written]
