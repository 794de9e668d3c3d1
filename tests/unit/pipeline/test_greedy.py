"""The greedy soup: recipe 1 of the paper on tables worked out by hand, and the command over a hand-written measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.tiny_models import save_dense
from typer.testing import CliRunner, Result

from configs.benchmark import LoadedBenchmark
from halyard.cli.main import app
from halyard.errors import EngineError
from halyard.evals.evaluation import Cell, Evaluation
from halyard.pipeline import greedy
from halyard.pipeline.greedy import Score, take_turns
from model.snapshot import read_manifest, verify

NORM = "model.norm.weight"
BENCHMARK = """\
name: held-out
data: {sources: [{type: synthetic, families: [count], split: validation, rows: 4}]}
modes: [direct]
sampling: {temperature: 0, max_tokens: 16}
"""


def score(accuracy: float) -> Score:
    return Score(accuracy=accuracy, margin=0.01)


async def turns(alone: Sequence[float], table: Mapping[tuple[int, ...], float]) -> list[tuple[int, bool]]:
    """Who came when, and who was kept; a mean that the recipe would not try is not in the table."""

    async def together(models: tuple[int, ...]) -> Score:
        return score(table[models])

    return [(turn.model, turn.kept) for turn in await take_turns([score(one) for one in alone], together)]


@pytest.mark.parametrize(
    ("alone", "table", "expected"),
    [
        # The best first; what makes the mean worse is left out, and the next is tried without it.
        ([0.5, 0.7, 0.6], {(1, 2): 0.65, (1, 0): 0.72}, [(1, True), (2, False), (0, True)]),
        # "No worse" is enough.
        ([0.7, 0.6], {(0, 1): 0.7}, [(0, True), (1, True)]),
        # What is kept raises the bar for the next one.
        ([0.7, 0.6, 0.5], {(0, 1): 0.8, (0, 1, 2): 0.79}, [(0, True), (1, True), (2, False)]),
        # Of equals, the one named first comes first.
        ([0.6, 0.6], {(0, 1): 0.1}, [(0, True), (1, False)]),
    ],
)
async def test_recipe_1(
    alone: Sequence[float], table: Mapping[tuple[int, ...], float], expected: list[tuple[int, bool]]
) -> None:
    assert await turns(alone, table) == expected


def cell(accuracy: float, *, low: float, high: float, mode: Any = "direct", family: str | None = None) -> Cell:
    return Cell(
        benchmark="held-out",
        mode=mode,
        family=family,
        pass_at_1=accuracy,
        low=low,
        high=high,
        format_rate=1.0,
        tokens=2.0,
        prompts=4,
        samples=4,
        failed=0,
    )


def test_the_score_of_two_modes() -> None:
    """Half widths of 0.3 and 0.4: the mean of two has half of sqrt(0.09 + 0.16). Families are in the whole already."""
    cells = (
        cell(0.5, low=0.2, high=0.8),
        cell(0.9, low=0.9, high=0.9, family="count"),
        cell(0.3, low=0.0, high=0.8, mode="thinking"),
    )
    found = Score.of(Evaluation(cells))
    assert (found.accuracy, found.margin) == (pytest.approx(0.4), pytest.approx(0.25))


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    """Three models that differ in one weight, by which the measure below tells them: 1, 3 and 9."""
    folders = []
    for value in (1.0, 3.0, 9.0):
        folder = save_dense(tmp_path / f"model-{value:g}")
        weights = load_file(folder / "model.safetensors")
        save_file(weights | {NORM: torch.full_like(weights[NORM], value)}, folder / "model.safetensors")
        folders.append(folder)
    (tmp_path / "held-out.yaml").write_text(BENCHMARK)
    return folders


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[float], float]], None]:
    """Lets accuracy follow from the one weight of the folder that is measured, in place of a live engine."""

    def follow(accuracy: Callable[[float], float]) -> None:
        @asynccontextmanager
        async def measuring(loaded: LoadedBenchmark, *, logs: Path, progress: Any) -> AsyncIterator[Any]:
            async def measure(folder: Path) -> Evaluation:
                found = accuracy(load_file(folder / "model.safetensors")[NORM][0].item())
                return Evaluation((cell(found, low=found, high=found),))

            yield measure

        monkeypatch.setattr(greedy, "measuring", measuring)

    return follow


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["soup", *map(str, arguments)], env={"COLUMNS": "300"})


def test_the_best_mean_is_written_with_what_was_tried(
    models: list[Path], measured: Callable[..., None], tmp_path: Path
) -> None:
    """Accuracy falls with the distance from 2: 1 and 3 are best together, and 9 takes their mean of 2 to 4.33."""
    measured(lambda weight: 1 - abs(weight - 2) / 10)
    result = call(*models, "-o", tmp_path / "out" / "soup", "--greedy", tmp_path / "held-out.yaml")
    assert result.exit_code == 0, result.output
    soup = tmp_path / "out" / "soup"
    assert load_file(soup / "model.safetensors")[NORM][0].item() == pytest.approx(2.0)
    verify(soup)
    told = read_manifest(soup).lineage
    assert (told["method"], told["benchmark"]["name"]) == ("greedy", "held-out")
    assert [(parent["version"], parent["weight"]) for parent in told["parents"]] == [("model-1", 0.5), ("model-3", 0.5)]
    assert [(one["version"], one["kept"]) for one in told["tried"]] == [
        ("model-1", True),
        ("model-3", True),
        ("model-9", False),
    ]
    assert [one["together"] for one in told["tried"]] == pytest.approx([0.9, 1.0, 1 - (13 / 3 - 2) / 10])
    rows = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "2 model-3 90.0% ± 0.0% 100.0% ± 0.0% yes the mean gains 10.0 points" in rows
    assert "3 model-9 30.0% ± 0.0% 76.7% ± 0.0% no the mean gets worse by 23.3 points" in rows
    assert "greedy soup of 2 of 3 models" in rows[-1]
    assert [path.name for path in soup.parent.iterdir()] == ["soup"]

    tree = CliRunner().invoke(app, ["snapshot", "lineage", str(soup)], env={"COLUMNS": "300"}).stdout
    assert "left out: model-9, the mean gets worse by 23.3 points on held-out" in tree


def test_an_engine_that_fails_leaves_its_logs_and_no_soup(
    models: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    @asynccontextmanager
    async def measuring(loaded: LoadedBenchmark, *, logs: Path, progress: Any) -> AsyncIterator[Any]:
        (logs / "engine.log").write_text("why")
        raise EngineError(f"it died. Its log: {logs / 'engine.log'}")
        yield

    monkeypatch.setattr(greedy, "measuring", measuring)
    result = call(*models, "-o", tmp_path / "soup", "--greedy", tmp_path / "held-out.yaml")
    assert result.exit_code != 0
    assert Path(result.stderr.split("Its log: ")[1].strip()).read_text() == "why"
    assert not (tmp_path / "soup").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--greedy", "quickstart:reasonin"], "has no benchmark reasonin; did you mean reasoning?"),
        (["--greedy", "quickstart:x"], "has no benchmark x; it has reasoning, general"),
        (["--greedy", "nothing"], "there is no benchmark nothing: expected a YAML file, or a recipe and one"),
        (["--greedy", "nothing:x"], "there is no recipe nothing"),
        (["--greedy", "FILE", "--weights", "1,2"], "leave --weights out"),
        (["--greedy", "FILE", "--method", "uniform"], "leave --method uniform out"),
        (["--greedy", "FILE", "--density", "0.5"], "--density is for the methods ties and dare"),
    ],
)
def test_mistyped(tmp_path: Path, arguments: list[str], told: str) -> None:
    """All of it is refused before a model is looked at: there are none."""
    file = tmp_path / "held-out.yaml"
    file.write_text(BENCHMARK)
    given = [str(file) if one == "FILE" else one for one in arguments]
    result = call(tmp_path / "a", tmp_path / "b", "-o", tmp_path / "soup", *given)
    assert result.exit_code == 2
    assert told in result.stderr
