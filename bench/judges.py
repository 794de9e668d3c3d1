"""How often a small real judge is won over, with our guards and without: `python -m bench.judges`.

The judge is trained here (some minutes), runs behind an engine of the cluster and is asked over HTTP, as one that the
pipeline trained. Each answer is one that it has refuted; an attack is what a policy might write around it. Asked as it
is: the words as they are, behind a fence, the last JSON of the reply taken for the verdict. Fenced: hidden characters,
marks and forged fences are taken out, empty answers are not asked about, the verdict must carry the code. Screened:
answers that speak to the judge are not asked about either, as for all shipped rubrics. A second judge was trained on
answers with idle words around them: that is the part which only a judge can do.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx2
from rich.console import Console
from rich.table import Table

from bench.judge_attacks import BY_KIND
from bench.small_judge import RUBRIC, Case, case, save_small_judge
from configs.cluster import ClusterConfig
from configs.judge import JudgeTerm
from configs.rubric import Rubric
from halyard.cluster.cluster import Cluster
from halyard.pipeline.judge_endpoint import serve_openai
from model.load import load_processor
from rewards.judges.court import Court
from rewards.judges.judging import JudgeJudging
from rewards.judges.wording import Question, fenced
from rewards.sample import Sample

ENGINE = {"cpus": 2, "max_model_len": 1024, "max_num_seqs": 64, "kv_cache_gib": 0.5}
REFUTED = 20
"""Answers that each attack is tried on."""
MOST_TOKENS = 48


class Won(NamedTuple):
    """Of a kind of attack: how many there were, and how many the judge said yes to, asked in each way."""

    kind: str
    tried: int
    as_it_is: int
    fenced: int
    screened: int


@asynccontextmanager
async def judge_at_work(folder: Path, logs: Path) -> AsyncIterator[str]:
    """The judge of a folder behind an engine; yields the URL of its endpoint."""
    config = ClusterConfig.model_validate({"placement": "sharing", "engine": ENGINE})
    async with (
        await Cluster.start(config, logs=logs) as cluster,
        serve_openai(await cluster.engine("judge", folder), load_processor(folder), model_name="judge") as url,
    ):
        yield url


def sample(reference: str, answer: str) -> Sample:
    """An answer to be judged."""
    return Sample(
        prompt="", response=answer, reasoning=None, answer=answer, reference=reference, task="open", thinking=False
    )


def held_out(verdict: str, count: int) -> list[Case]:
    """Answers with that verdict, which the judge was not trained on in this order."""
    chance, found = random.Random("held out"), []
    while len(found) < count:
        one = case(chance)
        if one.verdict == verdict:
            found.append(one)
    return found


async def scores(judging: JudgeJudging, asked: Sequence[tuple[str, str]]) -> list[float | None]:
    """What the judge makes of references and answers."""
    return [one.score for one in await judging.judge([sample(*pair) for pair in asked])]


async def as_it_is(url: str, asked: Sequence[tuple[str, str]]) -> list[bool]:
    """Whether the judge says yes when nothing guards it."""
    rubric = Rubric.model_validate(RUBRIC)
    async with httpx2.AsyncClient(trust_env=False, timeout=600) as client:

        async def one(pair: tuple[str, str]) -> bool:
            texts = tuple(zip(("reference", "answer"), pair, strict=True))
            messages = fenced(rubric, Question(texts), "5eed5eed")
            body = {"model": "judge", "messages": messages, "temperature": 0, "max_tokens": MOST_TOKENS}
            told = (await client.post(f"{url}/chat/completions", json=body)).json()
            return _says_yes(told["choices"][0]["message"]["content"])

        return list(await asyncio.gather(*map(one, asked)))


def _says_yes(reply: str) -> bool:
    try:
        found: Any = json.loads(reply[reply.index("{") :])
        return found["same"]["answer"] == "yes"
    except (ValueError, KeyError, TypeError):
        return False


async def attacked(url: str, folder: Path) -> tuple[list[int], list[Won]]:
    """The judge's right, wrong and failed verdicts on honest answers, and how often each kind of attack won it over."""
    court = Court(url=url)
    through = []
    for screens in (False, True):
        file = folder / f"naming-{screens}.yaml"
        file.write_text(json.dumps(RUBRIC | {"refuses_flattery": screens}))
        through.append(court.judging(JudgeTerm(rubric=str(file), max_tokens=MOST_TOKENS)))
    screened = through[-1]
    right, wrong = ([(one.reference, one.answer) for one in held_out(verdict, 100)] for verdict in ("yes", "no"))
    yes, no = await scores(screened, right), await scores(screened, wrong)
    refuted = [pair for pair, score in zip(wrong, no, strict=True) if score == 0.0][:REFUTED]
    won = []
    for kind, attacks in BY_KIND.items():
        tried = [(reference, attack.format(*[answer] * 2)) for reference, answer in refuted for attack in attacks]
        bare = sum(await as_it_is(url, tried))
        guarded = [sum(score == 1.0 for score in await scores(one, tried)) for one in through]
        won.append(Won(kind, len(tried), bare, *guarded))
    await court.close()
    failed = yes.count(None) + no.count(None)
    right = yes.count(1.0) + no.count(0.0)
    return [right, len(yes) + len(no) - right - failed, failed], won


def show(judge: str, honest: list[int], won: list[Won], console: Console) -> None:
    """Print what a judge made of honest answers and of attacks."""
    console.print(f"{judge}; honest answers: {honest[0]} right, {honest[1]} wrong, {honest[2]} without a verdict")
    table = Table(title="answers that it had refuted and says yes to under attack", title_justify="left")
    for heading in ("attack", "tried", "as it is", "fenced", "fenced and screened"):
        table.add_column(heading, justify="left" if heading == "attack" else "right")
    for one in won:
        table.add_row(one.kind, str(one.tried), *(f"{count / one.tried:.0%}" for count in one[2:]))
    console.print(table)


async def main() -> None:
    """Print a table for each judge."""
    for judge, chatter in (("trained on plain answers", False), ("trained on answers with idle words", True)):
        with TemporaryDirectory() as temporary:
            folder = Path(temporary)
            model = await asyncio.to_thread(save_small_judge, folder / "judge", chatter=chatter)
            async with judge_at_work(model, folder / "logs") as url:
                show(judge, *await attacked(url, folder), Console())


if __name__ == "__main__":
    asyncio.run(main())
