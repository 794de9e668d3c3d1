"""Which curves are drawn of a stage, and what each of them means."""

from __future__ import annotations

from serving.dashboard.charts import Chart

RL = (
    Chart(
        title="Reward",
        hint="Mean over all answers of the step, and over each component of the reward.",
        lines={"reward": "reward"},
        under="components",
    ),
    Chart(
        title="Accuracy",
        hint="Share of answers graded right; held out: on prompts that are never trained on.",
        lines={"accuracy": "accuracy", "held out": "held_out.accuracy"},
    ),
    Chart(
        title="Entropy",
        hint="Mean entropy of the policy over its next token, in nats. Near zero it explores no more.",
        lines={"entropy": "entropy"},
    ),
    Chart(
        title="KL divergence",
        hint="reference: from the first policy of the stage (with kl_coef above 0); engine: from the policy that "
        "sampled, by the estimator k3. In nats a token.",
        lines={"reference": "reference_kl", "engine (k3)": "drift_k3"},
        log=True,
    ),
    Chart(
        title="Engine-learner drift",
        hint="Mean difference of the log-probs that engine and learner give the same tokens under equal weights, in "
        "nats. In float32 about 1e-6; a jump means that they compute something different.",
        lines={"equal weights": "engine_drift", "as trained": "drift"},
        log=True,
    ),
    Chart(
        title="Length of answers",
        hint="Tokens an answer, mean and longest of the step.",
        lines={"mean": "response_tokens_mean", "longest": "response_tokens_max"},
    ),
    Chart(
        title="Tokens a second", hint="Generated tokens over the whole step.", lines={"tokens/s": "tokens_per_second"}
    ),
    Chart(
        title="Staleness",
        hint="Versions between the policy that sampled an answer's first token and the one that it trains.",
        lines={"mean": "staleness_mean", "highest": "staleness_max"},
    ),
    Chart(
        title="Time by phase",
        hint="Seconds of a step as the learner spends them. Generating and judging go on while it waits.",
        lines={},
        under="seconds",
        skip=("generate", "score", "step"),
        stacked=True,
    ),
    Chart(
        title="Signal",
        hint="Share of groups whose answers all have one reward, and so teach nothing; share cut at max_tokens.",
        lines={"without signal": "share_without_signal", "cut off": "truncated"},
    ),
    Chart(title="Gradient", hint="Norm of the gradient before clipping.", lines={"norm": "grad_norm"}),
    Chart(title="Learning rate", hint="Of the step that was taken.", lines={"learning rate": "learning_rate"}),
)
SFT = (
    Chart(
        title="Loss",
        hint="Mean negative log-likelihood of the tokens that are learnt, in nats.",
        lines={"loss": "loss"},
    ),
    Chart(
        title="Confidence",
        hint="Share of learnt tokens that the policy gives a probability above one half.",
        lines={"confident": "confident"},
    ),
    RL[2],
    RL[6],
    RL[8],
    RL[10],
    RL[11],
)

CHARTS = {"rl": RL, "sft": SFT}
"""The charts of a stage, by its type."""
