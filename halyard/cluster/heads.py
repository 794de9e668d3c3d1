"""Attention heads over processes: the learner's ranks of a group and vLLM's tensor parallel deal them out alike."""

from __future__ import annotations


def dealings(queries: int, keys: int) -> list[int]:
    """The numbers of processes that so many query and key-value heads can be dealt out to evenly, ascending.

    Where there are fewer key-value heads than processes, several processes get the same one.

    >>> dealings(6, 2)
    [1, 2, 6]
    """
    return [n for n in range(1, queries + 1) if queries % n == 0 and (keys % n == 0 or n % keys == 0)]


def in_words(sizes: list[int]) -> str:
    """Numbers to choose from, for a sentence.

    >>> in_words([1, 2, 6])
    '1, 2 or 6'
    """
    return " or ".join(", ".join(map(str, sizes)).rsplit(", ", 1))
