"""Packing a micro-batch's sequences into tensors without padding.

A pack is one row `[1, tokens]` in which sequences follow each other; position ids restart at 0 with each,
which is what the packed attention tells them apart by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch.nn import functional

from halyard.cluster.types import TrainSequence
from halyard.errors import LearnerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One micro-batch.

    `input_ids`, `position_ids`: [1, tokens]. `pixel_values`: [images, 3, height, width] or None; of native
    resolution [patches, 3, patch size, patch size], with `image_grids`: [images, 2].
    The rest is [learnt tokens], flat: `sources` are the positions in the row whose hidden state predicts the
    token, `targets` the token ids, `segments` the number of the sequence within the pack.
    """

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    pixel_values: torch.Tensor | None
    sources: torch.Tensor
    targets: torch.Tensor
    segments: torch.Tensor
    weights: torch.Tensor
    advantages: torch.Tensor | None = None
    rollout_logprobs: torch.Tensor | None = None
    old_logprobs: torch.Tensor | None = None
    reference_logprobs: torch.Tensor | None = None
    image_grids: torch.Tensor | None = None

    def to(self, device: torch.device) -> Pack:
        """The same pack on a device; itself where it is there already."""
        moved = {name: None if tensor is None else tensor.to(device) for name, tensor in self._tensors().items()}
        return Pack(**moved)  # pyright: ignore[reportArgumentType]

    def _tensors(self) -> dict[str, torch.Tensor | None]:
        return {one.name: getattr(self, one.name) for one in fields(self)}


def collate(sequences: Sequence[TrainSequence], *, least: int = 1) -> Pack:
    """Checked sequences as one micro-batch of at least so many tokens; those that fill it up learn nothing."""
    pack = _collated(sequences) if sequences else _empty()
    missing = max(0, least - pack.input_ids.shape[1])
    ids, positions = (functional.pad(one, (0, missing)) for one in (pack.input_ids, pack.position_ids))
    return replace(pack, input_ids=ids, position_ids=positions)


def _collated(sequences: Sequence[TrainSequence]) -> Pack:
    masks = [np.asarray(sequence.loss_mask, dtype=bool) for sequence in sequences]
    lengths = [len(sequence.token_ids) for sequence in sequences]
    learnt = np.flatnonzero(np.concatenate(masks))
    ids = np.concatenate([sequence.token_ids for sequence in sequences]).astype(np.int64, copy=False)
    segments = np.repeat(np.arange(len(sequences)), [int(mask.sum()) for mask in masks])
    return Pack(
        input_ids=torch.from_numpy(ids)[None],
        position_ids=torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))[None],
        pixel_values=_joined([sequence.pixel_values for sequence in sequences]),
        image_grids=_joined([sequence.image_grids for sequence in sequences]),
        sources=torch.from_numpy(learnt - 1),
        targets=torch.from_numpy(ids[learnt]),
        segments=torch.from_numpy(_without_gaps(segments)),
        weights=_flat(sequences, masks, "weights"),
        advantages=_optional(sequences, masks, "advantages"),
        rollout_logprobs=_optional(sequences, masks, "rollout_logprobs"),
        old_logprobs=_optional(sequences, masks, "old_logprobs"),
        reference_logprobs=_optional(sequences, masks, "reference_logprobs"),
    )


def check(sequences: Sequence[TrainSequence]) -> None:
    """Refuse sequences that cannot be learnt from as they are.

    Raises:
        LearnerError: there are none, or a sequence is empty, its lists are not as long as its token ids,
            or it would learn its first token, which nothing comes before; or some have a list that others lack.
    """
    if not sequences:
        raise LearnerError("the learner was given no sequences: there is nothing to take a step on")
    for index, sequence in enumerate(sequences):
        tokens = len(sequence.token_ids)
        for name in ("loss_mask", "weights", *_OPTIONAL):
            values = getattr(sequence, name)
            if values is not None and len(values) != tokens:
                raise LearnerError(f"sequence {index} has {tokens} token ids but {len(values)} {name}")
        if not tokens or sequence.loss_mask[0]:
            raise LearnerError(
                f"sequence {index} ({tokens} tokens) is empty or learns its first token, which nothing comes before"
            )
    for name in _OPTIONAL:
        given = sum(getattr(sequence, name) is not None for sequence in sequences)
        if given not in (0, len(sequences)):
            raise LearnerError(f"{given} of {len(sequences)} sequences have {name}: give it to all or to none")


_OPTIONAL = ("advantages", "rollout_logprobs", "old_logprobs", "reference_logprobs")


def _flat(sequences: Sequence[TrainSequence], masks: Sequence[np.ndarray], name: str) -> torch.Tensor:
    values = [np.asarray(getattr(one, name))[mask] for one, mask in zip(sequences, masks, strict=True)]
    return torch.from_numpy(np.concatenate(values).astype(np.float32, copy=False))


def _optional(sequences: Sequence[TrainSequence], masks: Sequence[np.ndarray], name: str) -> torch.Tensor | None:
    if getattr(sequences[0], name) is None:
        return None
    return _flat(sequences, masks, name)


def _joined(arrays: Sequence[np.ndarray | None]) -> torch.Tensor | None:
    """Those that are there, one after the other."""
    given = [array for array in arrays if array is not None]
    return torch.from_numpy(np.concatenate(given)) if given else None


def _without_gaps(segments: np.ndarray) -> np.ndarray:
    """Segment numbers counted again, leaving out sequences of which nothing is learnt."""
    return np.unique(segments, return_inverse=True)[1].astype(np.int64)


def _empty() -> Pack:
    none = torch.zeros(0, dtype=torch.int64)
    return Pack(
        input_ids=none[None],
        position_ids=none[None],
        pixel_values=None,
        sources=none,
        targets=none,
        segments=none,
        weights=torch.zeros(0),
    )
