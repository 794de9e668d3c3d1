"""What the loop passes around: a prompt that holds a slot, and the group that came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from halyard.data.types import Group, Prompt
    from model.render import Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A prompt that holds a slot.

    `occurrence` is its position in the stream of prompts: the same prompt in a later epoch has another
    one. `version` is the policy version that was live when the slot was taken.
    """

    occurrence: int
    prompt: Prompt
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A judged group, with the rendering of its prompt that the engine answered and the learner will see."""

    admitted: Admitted
    rendered: Rendered
    group: Group
