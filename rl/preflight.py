"""Checks before the first step: on the real model and real prompts, refuse what would train blind.

Each check is a function that returns what it measured, or raises `Fault` with what is wrong; a new one is
a row of `CHECKS`. All of them run, so that one refusal names every fault.
"""

from __future__ import annotations

import math
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from halyard.errors import PreflightError
from model.components import frozen
from rl import perfect
from rl.losses import PolicyLoss
from rl.probes import Probe, sample

if TYPE_CHECKING:
    from configs.stages import RlStage
    from halyard.cluster.types import Update
    from rl.session import RlSession

BLIND = 1e-5
"""Log-probs, in nats, that differ by less than this do not differ."""
RESOLUTION = {"float32": 2**-24, "bfloat16": 2**-9}
"""The smallest step, relative to a weight, that can change it; Adam's first is about the learning rate."""
TRIAL_STEPS = 3
"""Optimiser steps of the trial at most: a warm-up may begin with a learning rate of 0."""


class Fault(Exception):
    """What a check found."""


class Skip(Exception):
    """Why a check has nothing to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the preflight's table."""

    name: str
    status: Literal["ok", "failed", "skipped"]
    detail: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What the checks look at."""

    stage: RlStage
    session: RlSession
    probes: Sequence[Probe]

    @property
    def sequences(self) -> list:
        """The probes as the learner takes them."""
        return [probe.sequence for probe in self.probes]

    async def engine_scores(self) -> np.ndarray:
        """The engine's log-probs of all sampled answers, one after the other, at temperature 1."""
        engine = self.session.engine
        scores = [await engine.score(one.token_ids, one.rendered.images) for one in self.probes]
        return np.concatenate([one.response(score) for one, score in zip(self.probes, scores, strict=True)])

    async def learner_scores(self, temperature: float = 1.0) -> np.ndarray:
        """The learner's log-probs of the same tokens, those of its loss mask."""
        scores = await self.session.learner.logprobs(self.sequences, temperature=temperature)
        return np.concatenate([one.learnt(score) for one, score in zip(self.probes, scores, strict=True)])


async def preflight(stage: RlStage, session: RlSession) -> tuple[Check, ...]:
    """The checks that were made, none of which failed; learner and engine are as they were, bit for bit.

    Raises:
        PreflightError: naming all that would have made the run train blind.
    """
    await session.learner.publish(session.engine, 0)
    trial = Trial(stage, session, await sample(stage, session))
    checks = [await _made(name, check, trial) for name, check in CHECKS.items()]
    faults = [f"{check.name}: {check.detail}" for check in checks if check.status == "failed"]
    if faults:
        raise PreflightError(
            f"stage {stage.name} would train blind, and was not started. {' · '.join(faults)}. "
            "docs/rl.md says what each check means, and what its usual causes are."
        )
    return tuple(checks)


async def same_tokens(trial: Trial) -> str:
    """Engine and learner see the same ids, with a whole number of places for each image."""
    place = trial.session.renderer.image_token_id
    for probe in trial.probes:
        images = len(probe.rendered.images)
        places = probe.completion.prompt_token_ids.count(place) if place is not None else 0
        pixels, grids = probe.rendered.pixel_values, probe.rendered.image_grids
        pieces = next((len(counted) for counted in (grids, pixels) if counted is not None), 0)
        uneven = grids is None and pieces and places % pieces  # pieces with grids differ in size
        if bool(images) != bool(places) or bool(pieces) != bool(images) or uneven:
            raise Fault(f"prompt {probe.prompt.id} has {images} images, {pieces} pieces of pixels and {places} places")
    return f"{sum(len(probe.token_ids) for probe in trial.probes)} tokens of {len(trial.probes)} prompts"


async def same_logprobs(trial: Trial) -> str:
    """The learner gives the sampled tokens the log-probs that the engine sampled them with."""
    learner = await trial.learner_scores(trial.stage.sampling.temperature)
    engine = np.concatenate([np.asarray(probe.completion.logprobs) for probe in trial.probes])
    if learner.shape != engine.shape:
        raise Fault(f"the engine sampled {engine.size} tokens, the loss mask covers {learner.size}")
    mean, most = _apart(learner, engine)
    if not mean <= trial.stage.drift_warning:
        raise Fault(
            f"engine and learner differ by {mean:.2g} nats a token in the mean, and drift_warning is "
            f"{trial.stage.drift_warning:g}: weights, images, masks or positions are not the same"
        )
    return f"mean |Δ| {mean:.1e}, largest {most:.1e} nats"


async def both_see(trial: Trial) -> str:
    """The log-probs of engine and learner change when the image does."""
    seeing = [probe for probe in trial.probes if probe.sequence.pixel_values is not None]
    if not seeing:
        raise Skip("the policy has no eyes")
    other_pixels, other_images = zip(*(probe.inverted() for probe in seeing), strict=True)
    learner, engine = trial.session.learner, trial.session.engine
    shown = await learner.logprobs([probe.sequence for probe in seeing])
    inverted = await learner.logprobs(other_pixels)
    by_learner = max(_apart(a, b)[1] for a, b in zip(shown, inverted, strict=True))
    by_engine = 0.0
    for probe, images in zip(seeing, other_images, strict=True):
        as_shown = await engine.score(probe.token_ids, probe.rendered.images)
        by_engine = max(by_engine, _apart(as_shown, await engine.score(probe.token_ids, images))[1])
    blind = [name for name, seen in (("learner", by_learner), ("engine", by_engine)) if not seen > BLIND]
    if blind:
        verb = "ignores" if len(blind) == 1 else "ignore"
        raise Fault(f"the {' and the '.join(blind)} {verb} the pixels: a negative of the image changes no log-prob")
    return f"a negative changes log-probs by up to {by_learner:.1e} (learner) and {by_engine:.1e} (engine)"


async def perfect_answers_are_paid(trial: Trial) -> str:
    """Template, loss mask, format reward and answer reward agree on what the best answer is."""
    rewards = trial.stage.rewards
    asked = [(probe.prompt, probe.prompt.answer) for probe in trial.probes if probe.prompt.answer is not None]
    if not asked:
        raise Skip("no prompt has a reference answer")
    found = [fault for one, answer in asked for fault in await perfect.faults(one, answer, trial.session, rewards)]
    if found:
        raise Fault("; ".join(dict.fromkeys(found)))
    terms = sorted({term.type for one, _ in asked for term, _ in perfect.paid_by_rule(one, rewards)})
    paid = f"paid in full for {' and '.join(terms)}" if terms else "no reward judges them by a rule"
    return f"{len(asked)} perfect answers: {paid}"


async def learns_and_tells(trial: Trial) -> str:
    """A trial step moves every tensor, the engine follows it, and afterwards all is as it was."""
    learner, engine, folder = trial.session.learner, trial.session.engine, trial.session.folder.path
    kept = folder / ".preflight.tmp"
    shutil.rmtree(kept, ignore_errors=True)
    before = await learner.checksums()
    await learner.save_checkpoint(kept)
    try:
        return await _trial_step(trial, before)
    finally:
        await learner.load_checkpoint(kept)
        shutil.rmtree(kept)
        await learner.publish(engine, 0)
        if await learner.checksums() != before:
            raise Fault("the learner's checkpoint does not bring back the weights that it saved, bit for bit")


async def _trial_step(trial: Trial, before: Mapping[str, str]) -> str:
    learner, engine = trial.session.learner, trial.session.engine
    engine_before, learner_before = await trial.engine_scores(), await trial.learner_scores()
    first, last = await _steps(trial)
    gradients, after = await learner.gradient_report(), await learner.checksums()
    still = _still(before, after, trial.stage)
    if last.learning_rate <= RESOLUTION[trial.session.precision]:  # a step too small to move weights near 1
        still = [name for name in still if name not in gradients]
    found = _mask_faults(first, trial.stage)
    if without := [name for name, norm in gradients.items() if not 0 < norm < math.inf]:
        found.append(f"no gradient reaches {_some(without)}")
    if still:
        found.append(f"the step did not change {_some(still)}")
    await learner.publish(engine, 1)
    engine_moved = await trial.engine_scores() - engine_before
    learner_moved = await trial.learner_scores() - learner_before
    size, gap = _apart(learner_moved, 0)[0], _apart(engine_moved, learner_moved)[0]
    noise = _apart(engine_before, learner_before)[0]
    if gap > size / 2 + 2 * noise:
        found.append(
            f"after a weight push the engine's log-probs moved by {_apart(engine_moved, 0)[0]:.1e} nats a token, "
            f"the learner's by {size:.1e}: the engine did not take all the weights, or answers from an old cache"
        )
    if found:
        raise Fault("; ".join(found))
    return f"{len(before)} tensors, and the engine followed a change of {size:.1e} nats to {gap:.1e}"


async def _steps(trial: Trial) -> tuple[Update, Update]:
    """The first and the last of a few optimiser steps, taken until the learning rate is above 0."""
    loss = PolicyLoss(ratio="token", clip_low=0.2, clip_high=0.2, kl_coef=0.0, correction="none", correction_cap=1.0)
    temperature = trial.stage.sampling.temperature
    first = update = await trial.session.learner.update(trial.sequences, loss, temperature=temperature)
    for _ in range(TRIAL_STEPS - 1):
        if update.learning_rate > 0:
            break
        update = await trial.session.learner.update(trial.sequences, loss, temperature=temperature)
    return first, update


def _mask_faults(update: Update, stage: RlStage) -> list[str]:
    drift = update.metrics["drift"]
    if drift <= stage.drift_warning:
        return []
    return [f"the loss sees log-probs {drift:.2g} nats a token from the engine's: its mask is shifted or incomplete"]


def _still(before: Mapping[str, str], after: Mapping[str, str], stage: RlStage) -> list[str]:
    """Tensors with the same checksum as before, though the recipe does not freeze them.

    Experts of one layer count as one tensor: those that no token was sent to rightly stay as they are.
    """
    changed: defaultdict[str, bool] = defaultdict(bool)
    for name in before:
        if not frozen(name, stage.optimizer.freeze):
            changed[re.sub(r"\.experts\.\d+\.", ".experts.*.", name)] |= before[name] != after[name]
    return [name for name, has in changed.items() if not has]


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} tensors: " + ", ".join(names[:most]) + more


def _apart(one: Sequence[float] | np.ndarray, other: Sequence[float] | np.ndarray | float) -> tuple[float, float]:
    """Mean and largest |difference|."""
    difference = np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))
    return float(difference.mean()), float(difference.max())


async def _made(name: str, check: Callable[[Trial], Awaitable[str]], trial: Trial) -> Check:
    begun = time.perf_counter()
    status: Literal["ok", "failed", "skipped"] = "ok"
    try:
        detail = await check(trial)
    except Skip as reason:
        status, detail = "skipped", str(reason)
    except Fault as fault:
        status, detail = "failed", str(fault)
    return Check(name=name, status=status, detail=detail, seconds=time.perf_counter() - begun)


CHECKS: Mapping[str, Callable[[Trial], Awaitable[str]]] = {
    "same tokens": same_tokens,
    "same log-probs": same_logprobs,
    "both see": both_see,
    "perfect answers are paid": perfect_answers_are_paid,
    "learns, and tells the engine": learns_and_tells,
}
