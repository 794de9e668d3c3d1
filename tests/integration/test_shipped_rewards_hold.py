"""No attack of the probe earns anything from a reward that ships, in the processes in which it runs."""

from __future__ import annotations

import pytest

from configs.rubric import is_shipped
from rewards.catalogue import entries
from rewards.workbench.trial import probe_reward

PARAMETERS = {"overlong": {"longest": 200, "buffer": 50}, "code": {"total_seconds": 1.0}}
"""What has no default, or would make for a long wait."""
NAMES = [entry.name for entry in entries() if entry.where == "shipped" and not is_shipped(entry.name)]


@pytest.mark.parametrize("name", NAMES)
async def test_nothing_is_earned_without_the_answer(name: str) -> None:
    found, _ = await probe_reward(name, PARAMETERS.get(name))
    earned = [f"{one.attack}, {one.question}: {one.sample.response[:100]!r} {one.verdict}" for one in found.earned]
    assert earned == []
