"""A judge with its rubric: a question goes in, the count of its votes comes out; each is asked once, ever."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from configs.judge import JudgeTerm
from configs.rubric import CANNOT_TELL, Rubric
from halyard.runs.listeners import Events
from rewards.judges.endpoint import Attempt, Endpoint
from rewards.judges.figures import Figures
from rewards.judges.http import Completion
from rewards.judges.pictures import TOKENS
from rewards.judges.reply import Ruling, read_form, read_word
from rewards.judges.store import Store
from rewards.judges.unanswered import Nonsense, Refused, Unanswered
from rewards.judges.wording import VERSION, Question, fenced, one_word, schema
from rewards.sample import brief

SHORT, LONG = 8, 1024
"""Tokens of a reply: for a word, and for reasons."""
UNSTRUCTURED = frozenset({400, 404, 415, 422, 501})
"""How endpoints refuse a request for structured output that they do not know."""


class Count(NamedTuple):
    """What the votes came to: a figure for each criterion, the score, and why."""

    figures: dict[str, float]
    score: float
    reason: str


class Judge:
    """Puts questions to an endpoint by a rubric. `origin` says which model it is, beyond the name it goes by."""

    def __init__(
        self, term: JudgeTerm, rubric: Rubric, endpoint: Endpoint, store: Store, *, origin: str, event: Events
    ) -> None:
        self.figures = Figures()
        self._term, self._rubric, self._endpoint, self._store = term, rubric, endpoint, store
        self._event = event
        self._sampling = {
            "temperature": term.sampling_temperature,
            "max_tokens": term.max_tokens or (SHORT if rubric.wording else LONG),
            **term.body,
        }
        fingerprint = rubric.fingerprint
        self._by = f"rubric {rubric.name} {fingerprint[:8]}"
        self._known = [origin, term.model, fingerprint, VERSION, term.structured, self._sampling]
        self._schema = schema(rubric)
        self._structured = rubric.wording is None and term.structured != "never"
        self._under_way: dict[str, asyncio.Task[Ruling]] = {}
        self._version = ""

    async def rule(self, question: Question) -> Count:
        """The count of the votes on a question.

        Raises:
            Unanswered: fewer than half of the votes could be had.
        """
        numbers = range(self._term.votes)
        votes = await asyncio.gather(*(self._vote(question, number) for number in numbers), return_exceptions=True)
        rulings = [vote for vote in votes if isinstance(vote, Ruling)]
        for vote in votes:
            if isinstance(vote, BaseException) and not isinstance(vote, Unanswered):
                raise vote
        missing = [vote for vote in votes if isinstance(vote, Unanswered)]
        if missing and 2 * len(rulings) <= len(votes):
            raise missing[0]
        return self._count(rulings)

    @property
    def by(self) -> str:
        """Who judges, by what: the version that the endpoint reports, or the model's name; the rubric's fingerprint."""
        return f"{self._version or self._term.model}, {self._by}"

    async def close(self) -> None:
        """Call off what nobody waits for any more."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _vote(self, question: Question, number: int) -> Ruling:
        """One vote: kept from before, under way already, or asked for."""
        key = self._key(question, number)
        if (kept := self._store.answer(key)) is not None:
            self.figures.count("cache_hits")
            return Ruling(**kept)
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(self._ask(question, number, key))
            self._under_way[key] = task
            task.add_done_callback(partial(self._done, key))
        else:
            self.figures.count("shared")
        return await asyncio.shield(task)

    def _done(self, key: str, task: asyncio.Task[Ruling]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever waited has been told; nobody may be waiting

    def _key(self, question: Question, number: int) -> str:
        """What decides an answer; the fence and the code do not."""
        digests = [picture.digest for picture in question.pictures]
        asked = json.dumps([*self._known, question.texts, digests, number], sort_keys=True)
        return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()

    async def _ask(self, question: Question, number: int, key: str) -> Ruling:
        structured = self._structured
        try:
            ruling = await self._endpoint.ask(partial(self._attempt, question, number, structured), self.figures)
        except Refused as refusal:
            if not structured or self._term.structured == "always" or refusal.status not in UNSTRUCTURED:
                raise
            ruling = await self._endpoint.ask(partial(self._attempt, question, number, False), self.figures)
            if self._structured:
                self._event("judge_unstructured", judge=self._term.model, reason=str(refusal))
            self._structured = False
        self._note(ruling.version)
        self._store.keep(key, ruling.as_json())
        return ruling

    def _note(self, version: str) -> None:
        """Tell of a judge that reports another version of itself than before: its verdicts may not compare."""
        if version and self._version and version != self._version:
            self._event("judge_changed", judge=self._term.model, before=self._version, now=version)
        self._version = version or self._version

    def _attempt(self, question: Question, number: int, structured: bool) -> Attempt[Ruling]:
        """A request with a fence and a code of its own."""
        code = secrets.token_hex(4)
        read: Callable[[Completion], Ruling]
        if self._rubric.wording:
            messages, read = one_word(self._rubric, question), self._word
        else:
            messages, read = fenced(self._rubric, question, code), partial(self._form, code)
        body = {"model": self._term.model, "messages": messages, **self._sampling}
        if structured:
            body["response_format"] = self._schema
        if self._term.votes > 1:
            body.setdefault("seed", number)
        characters = sum(len(text) for _, text in question.texts) + 400 * len(self._rubric.criteria) + 1200
        most = body.get("max_tokens") or body.get("max_completion_tokens") or LONG
        return Attempt(
            {name: value for name, value in body.items() if value is not None},
            read,
            characters // 3 + TOKENS * len(question.pictures),
            most,
        )

    def _word(self, completion: Completion) -> Ruling:
        try:
            return Ruling(read_word(completion.text, self._rubric), version=completion.version)
        except Nonsense as nonsense:
            if not self._sampling["temperature"]:  # the same words bring the same answer
                nonsense.again = None
            raise

    def _form(self, code: str, completion: Completion) -> Ruling:
        return Ruling(*read_form(completion.text, self._rubric, code), version=completion.version)

    def _count(self, rulings: Sequence[Ruling]) -> Count:
        """The median of the votes on each criterion, the lower one of two; a criterion needs most of all votes."""
        figures, said = {}, []
        for criterion in self._rubric.criteria:
            answers = [ruling.answers[criterion.name] for ruling in rulings]
            values = sorted(criterion.answers[answer] for answer in answers if answer != CANNOT_TELL)
            if 2 * len(values) <= self._term.votes:
                raise Nonsense(f"it cannot tell {criterion.name} from what it is shown")
            figure = figures[criterion.name] = values[(len(values) - 1) // 2]
            said.append(_said(criterion.name, figure, criterion.answers, rulings))
        versions = ", ".join(sorted({ruling.version or self._term.model for ruling in rulings}))
        votes = f", {len(rulings)} votes" if self._term.votes > 1 else ""
        return Count(figures, self._rubric.score(figures), f"{'; '.join(said)} [{versions}, {self._by}{votes}]")


def _said(name: str, figure: float, answers: dict[str, float], rulings: Sequence[Ruling]) -> str:
    """The answer that counted, with the reason of one who gave it."""
    for ruling in rulings:
        answer = ruling.answers[name]
        if answers.get(answer) == figure:
            reason = ruling.reasons.get(name, "")
            return f"{name} {answer} ({brief(reason, 160)})" if reason else f"{name} {answer}"
    raise AssertionError("a median is one of the votes")
