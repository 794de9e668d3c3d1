from __future__ import annotations

import numpy as np
import pytest

from halyard.cluster.batch import check, collate
from halyard.cluster.types import TrainSequence
from halyard.errors import LearnerError


def sequence(ids: list[int], learnt: list[int], **more: np.ndarray) -> TrainSequence:
    mask = np.zeros(len(ids), dtype=bool)
    mask[learnt] = True
    return TrainSequence(token_ids=np.array(ids), loss_mask=mask, weights=mask * 0.5, **more)


def test_a_pack_lays_sequences_end_to_end_and_positions_restart() -> None:
    pack = collate([sequence([5, 6, 7], [1, 2]), sequence([8, 9], [1])])
    assert pack.input_ids.tolist() == [[5, 6, 7, 8, 9]]
    assert pack.position_ids.tolist() == [[0, 1, 2, 0, 1]]
    assert pack.sources.tolist() == [0, 1, 3]  # each learnt token is predicted from the one before it
    assert pack.targets.tolist() == [6, 7, 9]
    assert pack.segments.tolist() == [0, 0, 1]
    assert pack.weights.tolist() == [0.5, 0.5, 0.5]
    assert pack.pixel_values is None
    assert pack.advantages is None


def test_segments_have_no_gaps_where_a_sequence_learns_nothing() -> None:
    pack = collate([sequence([1, 2], [1]), sequence([3, 4], []), sequence([5, 6], [1])])
    assert pack.segments.tolist() == [0, 1]


def test_values_of_a_token_are_taken_at_that_token() -> None:
    pack = collate([sequence([5, 6, 7], [2], advantages=np.array([0.0, 0.25, 3.0]))])
    assert pack.advantages is not None
    assert pack.advantages.tolist() == [3.0]


def test_images_of_all_sequences_follow_each_other() -> None:
    first, second = np.full((2, 3, 4, 4), 1.0, np.float32), np.full((1, 3, 4, 4), 2.0, np.float32)
    pack = collate(
        [sequence([1, 2], [1], pixel_values=first), sequence([3], []), sequence([4, 5], [1], pixel_values=second)]
    )
    assert pack.pixel_values is not None
    assert pack.pixel_values[:, 0, 0, 0].tolist() == [1.0, 1.0, 2.0]


def test_no_sequences_make_a_pack_that_learns_nothing() -> None:
    pack = collate([])
    assert pack.input_ids.shape == (1, 1)
    assert len(pack.targets) == len(pack.weights) == 0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([], "no sequences"),
        ([sequence([], [])], "empty or learns its first token"),
        ([sequence([1, 2], [0])], "empty or learns its first token"),
        ([sequence([1, 2], [1], advantages=np.zeros(3))], "2 token ids but 3 advantages"),
        (
            [sequence([1, 2], [1], old_logprobs=np.zeros(2)), sequence([1, 2], [1])],
            "1 of 2 sequences have old_logprobs",
        ),
    ],
)
def test_sequences_that_cannot_be_learnt_from_are_refused(bad: list[TrainSequence], message: str) -> None:
    with pytest.raises(LearnerError, match=message):
        check(bad)
