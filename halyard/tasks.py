"""The kinds of question that rewards know how to judge."""

from __future__ import annotations

from typing import Literal

Task = Literal["math", "stem", "exact", "open"]
"""math and stem: a boxed answer judged by mathematics; exact: a text answer; open: judged by a model alone."""
TASKS: tuple[Task, ...] = ("math", "stem", "exact", "open")
