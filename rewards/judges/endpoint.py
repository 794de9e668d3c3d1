"""A judge's endpoint in use: turns, limits, tries, budget, and outages."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from configs.judge import JudgeEndpoint
from halyard.runs.listeners import Events
from rewards.judges.breaker import Breaker
from rewards.judges.figures import Figures
from rewards.judges.http import Completion, Wire
from rewards.judges.limits import Bucket, Purse
from rewards.judges.store import Cost, Store
from rewards.judges.unanswered import Down, Late, Nonsense, Spent, Unanswered

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds between the tries of a question: doubled each time, and varied by chance so that none return together."""

Read = TypeVar("Read")


class Attempt(NamedTuple, Generic[Read]):
    """A request to send, what reads its reply (or raises Nonsense), and the most tokens it may take."""

    body: dict[str, Any]
    read: Callable[[Completion], Read]
    prompt_tokens: int
    completion_tokens: int


class Endpoint:
    """What all terms that ask one judge in the same way share."""

    def __init__(self, term: JudgeEndpoint, *, url: str, store: Store, event: Events) -> None:
        """Prepare connections; nothing is sent yet.

        Raises:
            ConfigError: the URL is wrong, or the variable for the key is not set.
        """
        self._term = term
        self._wire = Wire(term, url)
        self._turn = asyncio.Semaphore(term.concurrency)
        self._requests, self._tokens = Bucket(term.rate.requests), Bucket(term.rate.tokens)
        account = hashlib.sha256(f"{term.url}\n{term.model}\n{term.api_key_env}".encode()).hexdigest()[:16]
        self._purse = Purse(term.budget, term.prices, store, f"{term.model} {account}")
        self.breaker = Breaker(f"{term.model} at {term.url or 'the pipeline'}", event)

    async def ask(self, make: Callable[[], Attempt[Read]], figures: Figures) -> Read:
        """What was read of the reply to an attempt; each try is made anew.

        A question that has had all its tries is given up if others were answered meanwhile; if none were, the
        judge is down, and the question waits, as all do, for as long as the term is patient.

        Raises:
            Unanswered: there is no answer.
        """
        tries, waited, answers = 0, 0.0, self.breaker.answers
        while True:
            waited += await self.breaker.wait(self._term.patience - waited)
            async with self._turn:
                if not self.breaker.enter():
                    continue
                try:
                    figures.count("retries", bool(tries))
                    return await self._try(make(), figures)
                except Unanswered as failure:
                    if failure.again is None:
                        raise
                    last = failure
            tries += 1
            if tries < self._term.retries:
                waited += await self._pause(last, tries, self._term.patience - waited)
            elif isinstance(last, Nonsense) or self.breaker.answers > answers:
                raise Unanswered(f"{last} (tries: {tries})") from last
            else:
                self.breaker.open(str(last), last.again or 0.0)
                tries, answers = 0, self.breaker.answers

    async def close(self) -> None:
        """Close the connections; an outage that goes on is told of."""
        self.breaker.end(over=False)
        await self._wire.close()

    async def _pause(self, failure: Unanswered, tries: int, patience: float) -> float:
        """Seconds slept before the next try."""
        pause = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
        seconds = max(failure.again or 0.0, pause * random.uniform(0.5, 1.0))
        if seconds > patience:
            self.breaker.open(str(failure), seconds)
            raise Down(f"{failure}, and asks to be left alone for {seconds:.0f} s")
        await asyncio.sleep(seconds)
        return seconds

    async def _try(self, attempt: Attempt[Read], figures: Figures) -> Read:
        """One request, paid for, and its effect on what is known of the judge."""
        told = False
        try:
            completion = await self._paid(attempt, figures)
            read = attempt.read(completion)
            told = True
            self.breaker.answered()
            return read
        except Spent:
            raise
        except Unanswered as failure:
            told = True
            if failure.again is None:
                self.breaker.answered()
            else:
                self.breaker.failed(str(failure), failure.again)
            raise
        finally:
            if not told:
                self.breaker.let_go()

    async def _paid(self, attempt: Attempt[Any], figures: Figures) -> Completion:
        """The completion of one request, within the limits; what it cost is counted, also where it failed."""
        most = self._purse.price(attempt.prompt_tokens, attempt.completion_tokens)
        await self._purse.set_aside(most)
        cost = Cost()
        try:
            await self._requests.take(1)
            await self._tokens.take(most.tokens)
            began = time.monotonic()
            cost = self._purse.price(attempt.prompt_tokens, 0)  # what is not told may have been charged
            completion = await self._wire.post(attempt.body)
            figures.took(time.monotonic() - began)
            cost = self._price(attempt, completion)
            return completion
        except Unanswered as failure:
            cost = cost if isinstance(failure, Late | Nonsense) or not cost.calls else Cost(calls=1)
            raise
        finally:
            self._purse.settle(most, cost)
            self._tokens.correct(cost.tokens - most.tokens if cost.calls else 0)
            for name in ("calls", "prompt_tokens", "completion_tokens", "money"):
                figures.count(name, getattr(cost, name))

    def _price(self, attempt: Attempt[Any], completion: Completion) -> Cost:
        prompt, reply = completion.prompt_tokens, completion.completion_tokens
        return self._purse.price(
            attempt.prompt_tokens if prompt is None else prompt, len(completion.text) // 3 if reply is None else reply
        )
