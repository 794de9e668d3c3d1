"""What a step was: its line in metrics.jsonl, and the records of its rollouts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from halyard.runs.rollouts import RolloutRecord, record
from rl.advantages import advantages
from rl.rewarding import reward_figures
from rl.sequences import trainable

if TYPE_CHECKING:
    from halyard.cluster.types import Transfer, Update
    from halyard.data.types import Group, Rollout, Verdict
    from rl.books import Unused
    from rl.presets import Algorithm
    from rl.types import Scored

PHASES = (
    "generate",
    "score",
    "old_logprobs",
    "reference_logprobs",
    "pack",
    "forward",
    "backward",
    "optimizer",
    "transfer",
    "drift",
    "record",
    "wait",
    "evaluate",
    "checkpoint",
    "step",
)
SHOWN = ("reward", "accuracy", "loss", "response_tokens_mean", "tokens_per_second", "staleness_mean")
"""Figures worth a person's glance while a run goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Everything that a step left behind.

    `unused` are the prompts let go since the step before. `engine_drift` was measured apart where the
    rollouts may be older than the weights; else it is the loss's own figure. `judges` are the figures of
    rewards that count what they do, by name; `held_out` what the new weights can do, where that was measured.
    """

    number: int
    trained: Sequence[Scored]
    unused: Sequence[Unused]
    updates: Sequence[Update]
    transfer: Transfer
    seconds: Mapping[str, float]
    engine_drift: float | None = None
    judges: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    held_out: Mapping[str, Any] | None = None

    def groups(self) -> list[Group]:
        """The groups that were sampled for the step, those without signal among them."""
        return [scored.group for scored in self.trained] + [one.group for one in self.unused if one.group is not None]

    def line(self) -> dict[str, Any]:
        """The figures of the step.

        Rewards and lengths are means over all that was sampled; over the trained groups alone, a filter
        on signal would hide what the policy can do. Staleness and the loss's terms are of what was trained.
        """
        generated = sum(len(r.response_token_ids) for group in self.groups() for r in group.rollouts)
        phases = Counter(self.seconds)
        for update in self.updates:
            phases.update(update.seconds)
        seconds = {name: phases[name] for name in PHASES}
        return {
            "step": self.number,
            **reward_figures(self.groups()),
            **_length_figures([rollout for group in self.groups() for rollout in group.rollouts]),
            **self._accounts(),
            **self._learning(),
            "tokens_generated": generated,
            "tokens_per_second": generated / seconds["step"],
            "transfer_pause": self.transfer.pause_seconds,
            "judges": self.judges,
            "held_out": self.held_out,
            "seconds": seconds,
        }

    def _accounts(self) -> dict[str, Any]:
        """What became of the prompts, and how old the trained rollouts were."""
        lags = [self.number - 1 - r.oldest_version for scored in self.trained for r in scored.group.rollouts]
        return {
            "prompts_trained": len(self.trained),
            "prompts_dropped": sum(one.state == "dropped" for one in self.unused),
            "prompts_failed": sum(one.state == "failed" for one in self.unused),
            "staleness_mean": fmean(lags),
            "staleness_max": max(lags),
        }

    def _learning(self) -> dict[str, Any]:
        """Means over the step's optimiser steps, and the sums of what they processed."""
        names = {name for update in self.updates for name in update.metrics}
        means = {name: fmean(update.metrics[name] for update in self.updates) for name in sorted(names)}
        return {
            "loss": fmean(update.loss for update in self.updates),
            "grad_norm": fmean(update.grad_norm for update in self.updates),
            "learning_rate": self.updates[-1].learning_rate,
            "tokens_trained": sum(update.tokens for update in self.updates),
            "tokens_learnt": sum(update.loss_tokens for update in self.updates),
            "sequences": sum(update.sequences for update in self.updates),
            "packs": sum(update.packs for update in self.updates),
            **means,
            "engine_drift": means["drift"] if self.engine_drift is None else self.engine_drift,
        }

    def records(self, algorithm: Algorithm) -> list[RolloutRecord]:
        """Every rollout of the step with its verdict, and what became of it."""
        trained = [one for scored in self.trained for one in self._trained_records(scored, algorithm)]
        return trained + [one for unused in self.unused for one in self._unused_records(unused)]

    def _trained_records(self, scored: Scored, algorithm: Algorithm) -> Iterator[RolloutRecord]:
        group, occurrence = scored.group, scored.admitted.occurrence
        values = advantages(group.rewards, algorithm.advantage)
        for rollout, verdict, value in zip(group.rollouts, group.verdicts, values, strict=True):
            left_out = _left_out(rollout, verdict, algorithm)
            yield record(
                group.prompt,
                rollout,
                verdict,
                step=self.number,
                occurrence=occurrence,
                state="failed" if verdict.reward is None else "dropped" if left_out else "trained",
                why=left_out,
                advantage=None if left_out else value,
            )

    def _unused_records(self, unused: Unused) -> Iterator[RolloutRecord]:
        if unused.group is None:
            return
        for rollout, verdict in zip(unused.group.rollouts, unused.group.verdicts, strict=True):
            yield record(
                unused.group.prompt,
                rollout,
                verdict,
                step=self.number,
                occurrence=unused.admitted.occurrence,
                state=unused.state,
                why=unused.why,
            )


def shown(line: Mapping[str, Any]) -> dict[str, float]:
    """The few figures of a step's line that a progress bar has room for."""
    return {name: line[name] for name in SHOWN if line[name] is not None}


def _left_out(rollout: Rollout, verdict: Verdict, algorithm: Algorithm) -> str:
    """Why one answer of a trained group is not trained on; empty when it is."""
    if verdict.reward is None:
        return f"not judged: {verdict.reason}"
    return "" if trainable(rollout, algorithm) else "cut at the token limit"


def _length_figures(rollouts: Sequence[Rollout]) -> dict[str, Any]:
    lengths = [len(rollout.response_token_ids) for rollout in rollouts]
    return {
        "response_tokens_mean": fmean(lengths),
        "response_tokens_max": max(lengths),
        "truncated": fmean(rollout.finish_reason == "length" for rollout in rollouts),
    }
