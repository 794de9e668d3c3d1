"""Engine, learner, renderer and scorer for the unit tests of `rl`: small, whole, and breakable on purpose.

The policy is a table of next-token scores plus a vector that the brightness of the image is multiplied
with: enough to sample, learn, see, drift, and be wrong in each way that the preflight looks for.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from configs.rewards import RewardsConfig
from halyard.cluster.types import (
    Completion,
    GenerationRequest,
    LossFunction,
    LossInputs,
    TrainSequence,
    Transfer,
    Update,
)
from halyard.data.types import Verdict
from model.render import Chat, Rendered

START, EOS, THINK, THINK_END, PLACE, THINKING, DIRECT = range(7)
torch.set_num_threads(1)  # tensors of 50 numbers: a second thread only gets in the way
MARKUP = {THINK: "<think>", THINK_END: "</think>"}
CHARACTERS = " .\\{}abcdefghijklmnopqrstuvwxyzTW?0123456789"
VOCABULARY = 7 + len(CHARACTERS)
PLACES = 2


class World:
    """What all fakes of a run share: how long things take, and when the lights go out.

    Each await of a fake is a point; `latency` says how many turns of the event loop it takes.
    """

    def __init__(self, *, latency: Callable[[], int] = lambda: 1, dies_at: int | None = None) -> None:
        self.points = 0
        self._latency = latency
        self._dies_at = dies_at

    async def point(self) -> None:
        self.points += 1
        if self.points == self._dies_at:
            raise PowerCut
        for _ in range(self._latency()):
            await asyncio.sleep(0)


class PowerCut(Exception):
    """The end of a process, at any await."""


Weights = dict[str, torch.Tensor]


def weights(seed: int = 0) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    return {
        "table": torch.randn(VOCABULARY, VOCABULARY, generator=generator, dtype=torch.float64) * 0.3,
        "vision.eye": torch.randn(VOCABULARY, generator=generator, dtype=torch.float64) * 0.3,
    }


def scores(table: Weights, previous: Sequence[int], brightness: float, temperature: float) -> torch.Tensor:
    """Log-probs [tokens, vocabulary] of what follows each of `previous`."""
    logits = table["table"][torch.as_tensor(np.asarray(previous))] + brightness * table["vision.eye"]
    return torch.log_softmax(logits / temperature, dim=-1)


class FakeRenderer:
    """One token a character; an image is two places. `prefills` opens the reasoning in the prompt."""

    eos_token_id = EOS
    image_token_id = PLACE
    vocab_size = VOCABULARY

    def __init__(self, *, prefills: bool = False, shifts_mask: bool = False) -> None:
        self._prefills = prefills
        self._shifts_mask = shifts_mask

    def prompt(self, chat: Chat, *, thinking: bool) -> Rendered:
        images = tuple(image for message in chat for image in message.images)
        text = "".join(message.text for message in chat)
        ids = [PLACE] * PLACES * len(images) + encode(text) + [THINKING if thinking else DIRECT, START]
        if self._prefills and thinking:
            ids.append(THINK)
        pixels = [np.full((3, 2, 2), np.asarray(image.convert("L")).mean() / 255, np.float32) for image in images]
        return Rendered(
            token_ids=np.array(ids, dtype=np.int64),
            loss_mask=np.zeros(len(ids), dtype=bool),
            pixel_values=np.stack(pixels) if pixels else None,
            images=images,
        )

    def conversation(self, chat: Chat, *, thinking: bool) -> Rendered:
        asked, turn = self.prompt(chat[:-1], thinking=thinking), chat[-1]
        thought = [] if turn.reasoning is None else [THINK, *encode(turn.reasoning), THINK_END]
        response = [*(thought[1:] if self._prefills else thought), *encode(turn.text), EOS]
        ids = np.concatenate([asked.token_ids, response]).astype(np.int64)
        mask = np.arange(len(ids)) >= len(asked.token_ids) - self._shifts_mask
        return Rendered(token_ids=ids, loss_mask=mask, pixel_values=asked.pixel_values, images=asked.images)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(MARKUP.get(i, CHARACTERS[i - 7] if i >= 7 else "") for i in ids)


def encode(text: str) -> list[int]:
    return [7 + CHARACTERS.index(character) for character in text]


class FakeEngine:
    """Samples from its own copy of the weights. `blind` ignores images, `deaf` new weights."""

    def __init__(self, world: World, *, blind: bool = False, deaf: bool = False, dies: int = 0) -> None:
        self.world = world
        self.policy_version = -1
        self.weights = weights(99)
        self.requests: list[str] = []
        self._blind = blind
        self._deaf = deaf
        self.deaf_from = 10**6
        self._dies = dies

    async def generate(self, request: GenerationRequest) -> tuple[Completion, ...]:
        await self.world.point()
        if self._dies and not request.id.startswith("preflight"):
            self._dies -= 1
            from halyard.errors import EngineError

            raise EngineError("engine-0 died")
        self.requests.append(request.id)
        answers = tuple(self._sample(request, seed) for seed in request.seeds)
        await self.world.point()
        return answers

    def _sample(self, request: GenerationRequest, seed: int) -> Completion:
        random = np.random.default_rng(seed)
        brightness = self._brightness(request.images)
        ids, logprobs = [request.token_ids[-1]], []
        while len(logprobs) < request.max_tokens and (len(ids) == 1 or ids[-1] != EOS):
            row = scores(self.weights, ids[-1:], brightness, request.temperature)[0]
            chosen = int(random.choice(VOCABULARY, p=row.exp().numpy() / row.exp().numpy().sum()))
            ids.append(chosen)
            logprobs.append(float(row[chosen]))
        return Completion(
            prompt_token_ids=request.token_ids,
            token_ids=tuple(ids[1:]),
            logprobs=tuple(logprobs),
            finish_reason="stop" if ids[-1] == EOS else "length",
            spans=((0, len(logprobs), self.policy_version),),
            seed=seed,
        )

    async def score(self, token_ids: Sequence[int], images: Sequence = ()) -> list[float]:
        rows = scores(self.weights, token_ids[:-1], self._brightness(images), 1.0)
        return [0.0, *rows.gather(1, torch.tensor(token_ids[1:])[:, None])[:, 0].tolist()]

    async def load(self, table: Weights, version: int) -> None:
        await self.world.point()
        if version != 1 if self._deaf else version < self.deaf_from:
            self.weights = {name: tensor.clone() for name, tensor in table.items()}
        self.policy_version = version

    def _brightness(self, images: Sequence) -> float:
        if self._blind or not images:
            return 0.0
        return float(np.mean([np.asarray(image.convert("L")).mean() / 255 for image in images]))


class FakeLearner:
    """Plain gradient descent on the loss it is given. Breakable: `blind`, `frozen` tensors, `shifted` mask."""

    def __init__(self, world: World, *, blind: bool = False, frozen: Sequence[str] = (), shifted: bool = False) -> None:
        self.world = world
        self.weights = weights(0)
        self.reference: Weights | None = None
        self.version = 0
        self.learnt: list[list[TrainSequence]] = []
        self.rate = 0.5  # at the peak that a stage has by default
        self._gradients: dict[str, float] = {}
        self._blind = blind
        self._frozen = frozen
        self._shifted = shifted

    def _logprobs(
        self, table: Weights, sequence: TrainSequence, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = sequence.pixel_values
        brightness = 0.0 if self._blind or pixels is None else float(pixels.mean())
        rows = scores(table, sequence.token_ids[:-1], brightness, temperature)
        taken = rows.gather(1, torch.as_tensor(sequence.token_ids[1:])[:, None])[:, 0]
        zero = torch.zeros(1, dtype=torch.float64)
        return torch.cat([zero, taken]), torch.cat([zero, -(rows.exp() * rows).sum(-1)])

    async def logprobs(self, sequences: Sequence[TrainSequence], *, temperature: float = 1.0) -> list[np.ndarray]:
        await self.world.point()
        return [self._logprobs(self.weights, one, temperature)[0].numpy() for one in sequences]

    async def reference_logprobs(
        self, sequences: Sequence[TrainSequence], *, temperature: float = 1.0
    ) -> list[np.ndarray]:
        await self.world.point()
        assert self.reference is not None
        return [self._logprobs(self.reference, one, temperature)[0].numpy() for one in sequences]

    async def freeze_reference(self) -> None:
        self.reference = {name: tensor.clone() for name, tensor in self.weights.items()}

    async def update(
        self, sequences: Sequence[TrainSequence], loss: LossFunction, *, temperature: float = 1.0
    ) -> Update:
        await self.world.point()
        table = {name: tensor.clone().requires_grad_(name not in self._frozen) for name, tensor in self.weights.items()}
        output = loss(self._inputs(table, sequences, temperature))
        output.loss.backward()
        for name, tensor in table.items():
            if tensor.grad is not None:
                self._gradients[name] = float(tensor.grad.norm())
                self.weights[name] = (self.weights[name] - self.rate * tensor.grad).detach()
        self.version += 1
        self.learnt.append(list(sequences))
        await self.world.point()
        return Update(
            version=self.version,
            loss=output.loss.item(),
            grad_norm=1.0,
            learning_rate=self.rate,
            tokens=sum(len(one.token_ids) for one in sequences),
            loss_tokens=sum(int(one.loss_mask.sum()) for one in sequences),
            sequences=len(sequences),
            packs=1,
            metrics={name: value.item() for name, value in output.metrics.items()},
            seconds={"pack": 0.0, "forward": 0.0, "backward": 0.0, "optimizer": 0.0},
        )

    def _inputs(self, table: Weights, sequences: Sequence[TrainSequence], temperature: float) -> LossInputs:
        passes = [self._logprobs(table, one, temperature) for one in sequences]
        masks = [torch.as_tensor(one.loss_mask) for one in sequences]
        if self._shifted:
            masks = [torch.roll(mask, -1) for mask in masks]
        logprobs = torch.cat([one[mask] for (one, _), mask in zip(passes, masks, strict=True)])
        entropy = torch.cat([one[mask] for (_, one), mask in zip(passes, masks, strict=True)])

        def flat(name: str) -> torch.Tensor | None:
            if getattr(sequences[0], name) is None:
                return None
            values = [getattr(one, name)[one.loss_mask] for one in sequences]
            return torch.as_tensor(np.concatenate(values), dtype=torch.float64)

        old, given = flat("old_logprobs"), flat("weights")
        assert given is not None
        return LossInputs(
            logprobs=logprobs,
            entropy=entropy.detach(),
            old_logprobs=logprobs.detach() if old is None else old,
            rollout_logprobs=flat("rollout_logprobs"),
            reference_logprobs=flat("reference_logprobs"),
            advantages=flat("advantages"),
            weights=given,
            segments=torch.repeat_interleave(torch.tensor([int(mask.sum()) for mask in masks])),
        )

    async def publish(self, engine: FakeEngine, version: int) -> Transfer:
        await self.world.point()
        await engine.load(self.weights, version)
        return Transfer(version=version, tensors=2, bytes=0, seconds=0.0, pause_seconds=0.0)

    async def set_learning_rate(self, peak: float) -> None:
        await self.world.point()
        self.rate = 0.5 * peak / 1e-6

    async def checksums(self) -> Mapping[str, str]:
        return {name: hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for name, tensor in self.weights.items()}

    async def gradient_report(self) -> Mapping[str, float]:
        return dict(self._gradients)

    async def save_checkpoint(self, path: Path) -> None:
        await self.world.point()
        path.mkdir(parents=True)
        torch.save({"weights": self.weights, "version": self.version}, path / "state.pt")

    async def load_checkpoint(self, path: Path) -> None:
        state = torch.load(path / "state.pt")
        self.weights, self.version = state["weights"], state["version"]
        await self.world.point()


@dataclass
class FakeScorer:
    """Grades boxed and plain answers by rule, and anything else by a hash, so that a random policy has signal.

    `dull` is the share of prompts whose answers all get the same reward; `fails` says which rollouts of
    a group cannot be judged.
    """

    world: World
    dull: float = 0.0
    fails: Callable[[int], bool] = field(default=lambda index: False)
    slept: int = 0
    weights: tuple[float, ...] = (0.9, 0.1)

    async def score(self, samples: Sequence) -> list[Verdict]:
        await self.world.point()
        return [self._verdict(index, sample) for index, sample in enumerate(samples)]

    def figures(self) -> dict[str, dict[str, float]]:
        return {}

    def weigh(self, config: RewardsConfig) -> None:
        self.weights = tuple(term.weight for term in config.terms)

    def _verdict(self, index: int, sample) -> Verdict:
        if self.fails(index):
            return Verdict(reward=None, status="failed", reason="the judge is out of reach")
        known = {rf"\boxed{{{sample.reference}}}": 1.0, rf"\boxed{{7{sample.reference}}}": 0.0}
        structure = 1.0 if ("<think>" in sample.response) == sample.thinking else 0.0
        answer = known.get(sample.answer, float(chance(sample.prompt, sample.response) < 0.5))
        if sample.answer not in known and chance(sample.prompt) < self.dull:
            answer = 0.0
        components = {"answer": answer, "format": structure}
        return Verdict(
            reward=self.weights[0] * answer + self.weights[1] * structure if sample.answer in known else answer,
            components=components,
        )


def chance(*names: str) -> float:
    digest = hashlib.blake2b("/".join(names).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
