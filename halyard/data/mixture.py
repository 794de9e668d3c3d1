"""An endless stream over weighted sources that can be taken up again at any position."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from halyard.data.sources import Dataset
from halyard.data.types import Row


class Mixture:
    """Rows of a data set, each source in proportion to its weight and shuffled anew in every epoch of its own.

    The next row always comes from the source that is furthest behind its share, so any stretch of n rows holds
    each source's share to within one row. What comes at a position depends on the data set, the seed and the
    position alone.

    >>> from halyard.data.types import Message, Row
    >>> rows = tuple(Row(id=str(i), messages=(Message(role="user", text="?"),)) for i in range(3))
    >>> stream = Mixture(Dataset(sources=(rows,), weights=(1.0,)), seed=0)
    >>> sorted(row.id for row in stream.take(3)), stream.position
    (['0', '1', '2'], 3)
    """

    def __init__(self, dataset: Dataset, *, seed: int) -> None:
        self._sources: Sequence[Sequence[Row]] = dataset.sources
        total = sum(dataset.weights)
        self._shares = [weight / total for weight in dataset.weights]
        self._seed = seed
        self._orders: dict[int, tuple[int, list[int]]] = {}
        self._taken = [0] * len(self._sources)
        self.position = 0

    def take(self, count: int) -> list[Row]:
        """The next `count` rows; `position` moves on by as many."""
        rows = []
        for _ in range(count):
            source, index = self._step()
            rows.append(self._row(source, index))
        return rows

    def seek(self, position: int) -> None:
        """Go to where a stream of the same data set and seed was when its `position` was this."""
        self._taken = [0] * len(self._sources)
        self.position = 0
        for _ in range(position):
            self._step()

    def _step(self) -> tuple[int, int]:
        """The source whose turn it is, and how many rows it has given before."""
        behind = [share * (self.position + 1) - taken for share, taken in zip(self._shares, self._taken, strict=True)]
        source = behind.index(max(behind))
        index = self._taken[source]
        self._taken[source] += 1
        self.position += 1
        return source, index

    def _row(self, source: int, index: int) -> Row:
        rows = self._sources[source]
        epoch, place = divmod(index, len(rows))
        if self._orders.get(source, (-1, []))[0] != epoch:
            order = list(range(len(rows)))
            Random(f"{self._seed} {source} {epoch}").shuffle(order)
            self._orders[source] = (epoch, order)
        return rows[self._orders[source][1][place]]
