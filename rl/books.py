"""What the driver of a stage knows: where the stream is, who holds a slot, what became of each prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from halyard.data.types import Group, Rollout, Verdict, VersionSpan
from halyard.errors import SnapshotError
from halyard.runs.ledger import Ledger
from rl.prompts import PromptStream
from rl.rollouts import PromptFailure, render
from rl.slots import Slots
from rl.types import Admitted, Scored

if TYPE_CHECKING:
    from configs.stages import RlStage
    from halyard.data.types import Prompt
    from rl.session import RlSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """A prompt that no step will train on: dropped (nothing to learn from it) or failed (no verdicts), and why."""

    admitted: Admitted
    state: Literal["dropped", "failed"]
    why: str
    group: Group | None


@dataclass(slots=True, kw_only=True)
class Books:
    """The driver's side of a checkpoint; the learner's weights are the other side.

    `step` counts the steps done, and is the policy version that is live after them. `temperature` is that of the
    answers that no step has trained on yet. `unused` are the prompts that were dropped or failed since the last step
    was recorded.
    """

    step: int
    temperature: float
    stream: PromptStream
    slots: Slots
    ledger: Ledger
    unused: list[Unused] = field(default_factory=list)

    @classmethod
    def new(cls, stage: RlStage, session: RlSession, *, step: int = 0) -> Books:
        """The books before the first prompt is drawn."""
        return cls(
            step=step,
            temperature=stage.sampling.temperature,
            stream=PromptStream.of(stage, session),
            slots=Slots(
                per_step=stage.prompts_per_step, max_staleness=stage.max_staleness, steps=stage.steps, version=step
            ),
            ledger=Ledger(),
        )

    @classmethod
    def from_json(cls, record: Mapping[str, Any], stage: RlStage, session: RlSession) -> Books:
        """The books as `to_json` found them: who was in flight is so again, what was scored stays scored.

        Raises:
            SnapshotError: a prompt is no longer rendered as it was.
        """
        books = cls.new(stage, session, step=record["step"])
        books.ledger = Ledger.from_json(record["ledger"])
        books.temperature = record.get("temperature", books.temperature)
        for entry in record["slots"]:
            admitted = books.stream.again(entry["occurrence"], entry["version"])
            books.slots.admit(admitted)
            if entry["group"] is not None:
                group = group_from_json(entry["group"], admitted.prompt)
                books.slots.fill(_rendered_again(admitted, group, stage, session))
        for entry in record["unused"]:
            admitted = books.stream.again(entry["occurrence"], entry["version"])
            group = entry["group"] and group_from_json(entry["group"], admitted.prompt)
            books.unused.append(Unused(admitted=admitted, state=entry["state"], why=entry["why"], group=group))
        books.stream.seek(record["position"])
        return books

    def close(self, step: int, groups: Sequence[Scored]) -> list[Unused]:
        """The prompts let go since the step before; `step` has trained the groups, and its weights are live."""
        for scored in groups:
            self.ledger.trained(scored.admitted.occurrence, step)
        self.step = step
        unused, self.unused = self.unused, []
        return unused

    def to_json(self) -> dict[str, Any]:
        """Everything that a resume needs beside the learner's checkpoint."""
        return {
            "step": self.step,
            "temperature": self.temperature,
            "position": self.stream.position,
            "ledger": self.ledger.to_json(),
            "slots": [
                _entry(admitted) | {"group": scored and group_to_json(scored.group)}
                for admitted, scored in self.slots.queue
            ],
            "unused": [
                _entry(one.admitted)
                | {"state": one.state, "why": one.why, "group": one.group and group_to_json(one.group)}
                for one in self.unused
            ],
        }


def group_to_json(group: Group) -> dict[str, Any]:
    """Rollouts and verdicts of a group; its prompt is found again by its occurrence."""
    return {
        "rollouts": [asdict(rollout) for rollout in group.rollouts],
        "verdicts": [asdict(verdict) for verdict in group.verdicts],
    }


def group_from_json(record: Mapping[str, Any], prompt: Prompt) -> Group:
    """The group that `group_to_json` wrote."""
    return Group(
        prompt=prompt,
        rollouts=tuple(_rollout(fields) for fields in record["rollouts"]),
        verdicts=tuple(Verdict(**fields) for fields in record["verdicts"]),
    )


def _rollout(fields: Mapping[str, Any]) -> Rollout:
    lists = ("prompt_token_ids", "response_token_ids", "rollout_logprobs")
    spans = tuple(VersionSpan(**span) for span in fields["spans"])
    return Rollout(**{**fields, **{name: tuple(fields[name]) for name in lists}, "spans": spans})


def _entry(admitted: Admitted) -> dict[str, Any]:
    return {"occurrence": admitted.occurrence, "version": admitted.version}


def _rendered_again(admitted: Admitted, group: Group, stage: RlStage, session: RlSession) -> Scored:
    changed = SnapshotError(
        f"prompt {admitted.prompt.id} has other tokens than when its answers were sampled, before the checkpoint: "
        "the data set or the chat template has changed. Start a new run, or restore what was changed."
    )
    try:
        rendered = render(admitted.prompt, session=session, max_tokens=stage.sampling.max_tokens)
    except PromptFailure as failure:
        raise changed from failure
    if tuple(rendered.token_ids.tolist()) != group.rollouts[0].prompt_token_ids:
        raise changed
    return Scored(admitted=admitted, rendered=rendered, group=group)
