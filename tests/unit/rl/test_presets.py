"""Each row against the numbers printed in its paper."""

from __future__ import annotations

from configs.algorithm import AlgorithmConfig
from rl.presets import PRESETS, Algorithm, resolve


def test_grpo_as_published() -> None:
    assert resolve(AlgorithmConfig(preset="grpo")) == Algorithm(
        advantage="group_mean_std",
        ratio="token",
        clip_low=0.2,
        clip_high=0.2,
        aggregation="sequence_mean",
        kl_coef=0.04,
        drop_groups_without_signal=False,
        overlong="keep",
        correction="none",
        correction_cap=2.0,
        updates_per_step=1,
    )


def test_dapo_differs_from_grpo_in_its_four_points() -> None:
    grpo, dapo = PRESETS["grpo"], PRESETS["dapo"]
    assert {name: dapo[name] for name in dapo if dapo[name] != grpo[name]} == {
        "clip_high": 0.28,
        "aggregation": "token_mean",
        "kl_coef": 0.0,
        "drop_groups_without_signal": True,
        "overlong": "mask",
    }


def test_gspo_clips_ratios_of_sequences_tightly() -> None:
    gspo = resolve(AlgorithmConfig(preset="gspo"))
    assert (gspo.ratio, gspo.clip_low, gspo.clip_high) == ("sequence", 3e-4, 4e-4)
    assert (gspo.aggregation, gspo.kl_coef) == ("sequence_mean", 0.0)


def test_a_recipe_overrides_single_fields_also_with_zero_and_false() -> None:
    config = AlgorithmConfig(preset="dapo", drop_groups_without_signal=False, kl_coef=0.0, clip_high=0.2)
    algorithm = resolve(config)
    assert not algorithm.drop_groups_without_signal
    assert algorithm.kl_coef == 0
    assert (algorithm.clip_low, algorithm.clip_high) == (0.2, 0.2)
    assert algorithm.overlong == "mask"


def test_every_row_fills_every_open_field() -> None:
    open_fields = {name for name, value in AlgorithmConfig().model_dump().items() if value is None}
    assert all(set(row) == open_fields for row in PRESETS.values())
