"""The one wording in which a judge is asked, shared by the judge's training rows and by the reward that asks it."""

from __future__ import annotations


def consistency_messages(reasoning: str, answer: str) -> str:
    """The user's message that asks whether a piece of reasoning agrees with its final answer: yes or no.

    `answer` is what the policy gave as final, without its box.

    >>> consistency_messages("2 + 3 = 5. so 5.", "5")
    'reasoning: 2 + 3 = 5. so 5. answer: 5. does the reasoning agree with the answer? yes or no.'
    """
    return (
        f"reasoning: {reasoning.strip()} answer: {answer.strip()}. does the reasoning agree with the answer? yes or no."
    )
