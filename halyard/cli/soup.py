"""`halyard soup`: several policies merged into one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from halyard.cli.shell import console, show
from halyard.cli.snapshot import policy_folder
from halyard.errors import ConfigError, SnapshotError

if TYPE_CHECKING:
    from configs.benchmark import LoadedBenchmark
    from model.soup import Merge, Soup, Tasting

Method = Literal["uniform", "weighted", "ties", "dare"]  # as in model.soup, which is slow to load


def soup(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL", help="Snapshots, runs or model folders.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The snapshot to write; it must not be there yet.")],
    weights: Annotated[
        str | None, typer.Option(help="One number for each model: `0.7,0.3`. They are made to add up to 1.")
    ] = None,
    method: Annotated[
        Method | None, typer.Option(help="How they are merged.", show_default="uniform, or weighted by --weights")
    ] = None,
    base: Annotated[
        Path | None, typer.Option(help="What the models were tuned from; ties and dare need it, others are measured.")
    ] = None,
    density: Annotated[
        float | None,
        typer.Option(help="Share of each task vector that is kept.", show_default="0.2 for ties, 0.1 for dare"),
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Of the merged task vector.", show_default="1")] = None,
    seed: Annotated[int | None, typer.Option(help="Of what dare leaves out.", show_default="0")] = None,
    greedy: Annotated[
        str | None,
        typer.Option(
            metavar="BENCHMARK",
            help="Keep only models that do not make the mean worse on this: a YAML file, or RECIPE:BENCHMARK.",
        ),
    ] = None,
) -> None:
    """Merge models of one architecture and tokenizer into a snapshot, tensor by tensor.

    Tells first how far they lie apart and where they come from, and warns of models that look heterogeneous: tuned
    with other data, settings or beginnings, their mean can be worse than each of them.

    Example: `halyard soup runs/a runs/b -o policies/soup`
    """
    from halyard.runs.atomic import new_folder
    from model.soup import Soup, planned

    if out.exists():
        raise SnapshotError(f"{out} is there already: name a folder that is not, or take it away")
    merge = planned(
        len(models),
        method="greedy" if greedy is not None and method is None else method,
        weights=_numbers(weights),
        has_base=base is not None,
        density=density,
        scale=scale,
        seed=seed,
    )
    benchmark = _benchmark(greedy, merge)
    with console().status("The models are verified and compared ..."):
        pot = Soup([policy_folder(model) for model in models], policy_folder(base) if base else None)
        tasting = pot.taste()
    _tell(tasting, merge)
    pot, merge, told = _chosen(pot, benchmark, out) if benchmark else (pot, merge, {})
    with console().status(f"{out} ..."), new_folder(out) as temporary:
        pot.write(temporary, merge, version=out.name, told=told)
    parameters = sum(shape.numel() for _, _, shape in pot.models[0].layout)
    count = f"{len(pot.models)} of {len(models)}" if benchmark else len(models)
    typer.echo(f"{out}: {merge.method} soup of {count} models, {parameters:,} parameters")


def _benchmark(greedy: str | None, merge: Merge) -> LoadedBenchmark | None:
    from configs.benchmark import load_benchmark

    if greedy is None:
        return None
    if merge.method != "greedy":
        raise ConfigError(f"--greedy chooses models for their plain mean: leave --method {merge.method} out")
    return load_benchmark(greedy)


def _chosen(pot: Soup, benchmark: LoadedBenchmark, out: Path) -> tuple[Soup, Merge, dict[str, Any]]:
    """The models that are kept, how they are merged, and what the manifest tells of the choice; it is on the screen."""
    from rich.table import Table

    from halyard.pipeline.greedy import choose, even, lineage

    turns = choose(pot, benchmark, out)
    table = Table("", "model", "alone", "mean with it", "kept", "why", box=None, header_style="bold")
    for turn in turns:
        name = pot.models[turn.model].folder.name
        kept = "yes" if turn.kept else "no"
        table.add_row(str(turn.model + 1), name, str(turn.alone), str(turn.together), kept, turn.why)
    console().print()
    show(table)
    console().print()
    kept = [turn.model for turn in turns if turn.kept]
    return pot.only(kept), even(len(kept)), lineage(turns, pot, benchmark)


def _numbers(given: str | None) -> list[float] | None:
    if given is None:
        return None
    try:
        return [float(number) for number in given.split(",")]
    except ValueError as error:
        raise ConfigError(f"--weights is {given!r}, expected numbers with commas between them: 0.7,0.3") from error


def _tell(tasting: Tasting, merge: Merge) -> None:
    """Nothing; the models, their pairs and what is doubtful are on the screen."""
    from rich.table import Table

    from model.likeness import degrees

    models = Table("", "model", "weight", "came from", "folder", box=None, header_style="bold")
    for number, (model, weight) in enumerate(zip(tasting.ancestry, merge.weights, strict=True), start=1):
        past = " < ".join(ancestor.name for ancestor in list(model.chain())[1:])
        share = "-" if merge.method == "greedy" else f"{weight:.3g}"
        models.add_row(str(number), model.name, share, past or "not known", str(model.folder))
    models.columns[-1].overflow = "fold"
    pairs = Table("pair", "angle", "cosine", "distance", "task cosine", "task lengths", box=None, header_style="bold")
    for pair in tasting.likeness:
        task = ("-", "-")
        if pair.task_cosine is not None and pair.task_ratio is not None:
            task = (f"{pair.task_cosine:.4f}", f"1 : {pair.task_ratio:.2f}")
        name = f"{pair.first + 1} and {pair.second + 1}"
        pairs.add_row(name, f"{degrees(pair.cosine):.2f}°", f"{pair.cosine:.4f}", f"{pair.distance:.4f}", *task)
    show(models)
    console().print()
    show(pairs)
    if tasting.doubts:
        lines = "".join(f"\n- {doubt}" for doubt in tasting.doubts)
        text = f"Warning: these models look heterogeneous; measure the soup before you use it.{lines}"
        typer.secho(text, fg=typer.colors.YELLOW, err=True)
