"""What may be sent in a minute, and what may be spent in all."""

from __future__ import annotations

import asyncio
import time

from configs.judge import BudgetConfig, PricesConfig
from rewards.judges.store import Cost, Store
from rewards.judges.unanswered import Spent


class Bucket:
    """So much a minute, evenly: no minute ever sees more than the limit.

    It holds a second's worth, and fills at the speed that keeps any minute below the limit, the second's worth
    included. What is larger than that is let through when the bucket is full, and paid off by those who come next.
    """

    def __init__(self, a_minute: int | None) -> None:
        self._limited = a_minute is not None
        limit = a_minute or 1
        self._capacity = self._level = max(1.0, limit / 60)
        self._speed = max(limit - self._capacity, limit / 2) / 60
        self._filled = time.monotonic()
        self._turn = asyncio.Lock()

    async def take(self, amount: float) -> None:
        """Nothing, as soon as the amount may be sent; first come, first served."""
        if not self._limited:
            return
        async with self._turn:
            self._fill()
            missing = min(amount, self._capacity) - self._level
            if missing > 0:
                await asyncio.sleep(missing / self._speed)
                self._fill()
            self._level -= amount

    def correct(self, difference: float) -> None:
        """Nothing; so much more was sent than was taken (less, where it is negative)."""
        self._level = min(self._capacity, self._level - difference)

    def _fill(self) -> None:
        now = time.monotonic()
        self._level = min(self._capacity, self._level + (now - self._filled) * self._speed)
        self._filled = now


class Purse:
    """What one judge may cost, and has cost.

    What a call may cost at most is set aside before it is made, and put right after it: calls under way count.
    """

    def __init__(self, budget: BudgetConfig, prices: PricesConfig, store: Store, judge: str) -> None:
        self._budget, self._prices, self._store, self._judge = budget, prices, store, judge
        self._spent = store.spent(judge)
        self._aside: list[Cost] = []
        self._settled = asyncio.Event()

    def price(self, prompt_tokens: int, completion_tokens: int) -> Cost:
        """What one call of so many tokens costs."""
        money = prompt_tokens * self._prices.input + completion_tokens * self._prices.output
        return Cost(1, prompt_tokens, completion_tokens, money / 1e6)

    async def set_aside(self, cost: Cost) -> None:
        """Nothing; there is room for the cost, and it is set aside. Waits for calls that may leave room.

        Raises:
            Spent: the budget is spent, but for less than this.
        """
        while self._over(cost, *self._aside):
            if over := self._over(cost):
                raise Spent(over)
            self._settled.clear()
            await self._settled.wait()
        self._aside.append(cost)

    def settle(self, aside: Cost, cost: Cost) -> None:
        """Nothing; the cost is spent, and what was set aside for it is free."""
        self._aside.remove(aside)
        if cost.calls:
            self._spent = self._spent.plus(cost)
            self._store.spend(self._judge, cost)
        self._settled.set()

    def _over(self, *costs: Cost) -> str:
        """Which limit the costs would break, in words; empty for none."""
        spent, budget = self._spent, self._budget
        for name, used, more, limit in (
            ("calls", spent.calls, sum(cost.calls for cost in costs), budget.calls),
            ("tokens", spent.tokens, sum(cost.tokens for cost in costs), budget.tokens),
            ("money", spent.money, sum(cost.money for cost in costs), budget.money),
        ):
            if limit is not None and used + more > limit:
                return f"{used:g} of the budget of {limit:g} {name} are spent"
        return ""
