"""The final picture: accuracy after each stage, with its intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from halyard.durable import replaced
from halyard.evals.evaluation import Cell, Evaluation
from halyard.runs.atomic import clear_errors


def plot(path: Path, evaluations: Mapping[str, Evaluation]) -> None:
    """Nothing; the PNG at `path` shows accuracy by stage, a line for each benchmark and mode.

    Raises:
        HalyardError: the file could not be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(1.6 * len(evaluations) + 3, 4), layout="constrained")
    stages = list(evaluations)
    for title in dict.fromkeys(title for one in evaluations.values() for title in overall(one)):
        points = [
            (index, cell.pass_at_1, cell.low, cell.high)
            for index, one in enumerate(evaluations.values())
            if (cell := overall(one).get(title)) is not None
        ]
        where, middle, low, high = zip(*points, strict=True)
        below = [max(0, value - least) for value, least in zip(middle, low, strict=True)]
        above = [max(0, most - value) for value, most in zip(middle, high, strict=True)]
        axes.errorbar(where, middle, yerr=[below, above], marker="o", capsize=3, label=title)
    axes.set_xticks(range(len(stages)), stages)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set_ylabel("pass@1 on held-out problems (95% interval)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with clear_errors(path), replaced(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
        pyplot.close(figure)


def overall(evaluation: Evaluation) -> dict[str, Cell]:
    """The cells of whole benchmarks, by benchmark and mode."""
    return {f"{cell.benchmark}, {cell.mode}": cell for cell in evaluation.cells if cell.family is None}
