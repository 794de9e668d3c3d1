"""`halyard snapshot lineage`: how a snapshot came to be, as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from halyard.cli.shell import show
from halyard.cli.snapshot import RunOrSnapshot, snapshots

if TYPE_CHECKING:
    from rich.tree import Tree

    from model.lineage import Ancestor


def lineage(path: RunOrSnapshot) -> None:
    """Draw how a snapshot came to be: stages, soups, data and recipes, back to where they can be followed.

    Example: `halyard snapshot lineage policies/soup`
    """
    from rich.tree import Tree

    from model.lineage import trace

    ancestor = trace(snapshots(path)[-1])
    tree = Tree(_label(ancestor), guide_style="dim")
    _grow(tree, ancestor, set())
    show(tree)


def _grow(tree: Tree, ancestor: Ancestor, drawn: set[Path]) -> None:
    """Nothing; the ancestor's facts and parents hang on the tree; who was drawn before is only named."""
    from rich.text import Text

    if ancestor.folder in drawn:
        tree.add(Text("as above", style="dim"))
        return
    drawn |= {ancestor.folder} if ancestor.folder else set()
    for fact in _facts(ancestor):
        tree.add(Text(fact, style="dim"))
    for parent in ancestor.parents:
        _grow(tree.add(_label(parent)), parent, drawn)


def _label(ancestor: Ancestor) -> Any:
    from rich.text import Text

    text = Text(ancestor.name, style="bold")
    about = []
    if ancestor.part:
        about.append(ancestor.part)
    if ancestor.replaced is not None:
        about.append(f"replaced: another snapshot lies in {ancestor.replaced} now")
    elif ancestor.folder is None:
        about.append("not found")
    elif ancestor.manifest is None:
        about.append("a model folder without a manifest")
    else:
        told = ancestor.manifest.lineage
        kind = f"{told['method']} soup" if told.get("type") == "soup" and "method" in told else told.get("type")
        about += [str(value) for value in (kind, told.get("role")) if value]
    return text.append(f"  {', '.join(about)}", style="")


def _facts(ancestor: Ancestor) -> Iterator[str]:
    """Where a model lies, and what its manifest and its run's recipe say of its making."""
    if ancestor.folder is None:
        return
    yield f"folder: {ancestor.folder}"
    if ancestor.manifest is None:
        return
    told = ancestor.manifest.lineage
    settings = [
        f"{key} {told[key]:g}" for key in ("density", "scale", "seed") if isinstance(told.get(key), int | float)
    ]
    if settings:
        yield ", ".join(settings)
    for one in told.get("tried", ()):
        if not one["kept"]:
            yield f"left out: {one['version']}, {one['why']} on {told['benchmark']['name']}"
    if fingerprint := told.get("recipe"):
        recipe = _recipe(ancestor.folder, fingerprint)
        name = recipe["name"] if recipe else "not found"
        yield f"recipe: {name} ({str(fingerprint)[:12]}), run {told.get('run', '-')}"
        yield from _stage_facts(recipe or {}, told.get("stage"))
    figures = told.get("metrics")
    if isinstance(figures, dict) and "step" in figures:
        yield f"steps: {figures['step']}"


def _recipe(folder: Path, fingerprint: Any) -> dict[str, Any] | None:
    """The recipe of the run that the snapshot lies in, where it is the one that the snapshot was made with."""
    try:
        content = json.loads((folder.parent.parent / "recipe.json").read_text(encoding="utf-8"))
        return content["recipe"] if content["fingerprint"] == fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stage_facts(recipe: dict[str, Any], name: Any) -> Iterator[str]:
    """The algorithm and the data of a stage; data that another stage made comes with that stage's own."""
    stages = {stage["name"]: stage for stage in recipe.get("stages", ())}
    stage = stages.get(name, {})
    if preset := (stage.get("algorithm") or {}).get("preset"):
        yield f"algorithm: {preset}"
    for source in _sources(stage):
        yield f"data: {_source(source, stages)}"


def _sources(stage: dict[str, Any]) -> list[dict[str, Any]]:
    """What a stage takes its rows from, by whatever name its type has for that."""
    return [source for key in ("data", "direct", "general") for source in (stage.get(key) or {}).get("sources", ())]


def _source(source: dict[str, Any], stages: dict[str, Any]) -> str:
    if source["type"] == "stage":
        maker = stages.get(source["stage"], {})
        inner = [f"rollouts of {maker['stage']}"] if "stage" in maker else []
        inner += [_source(one, stages) for one in _sources(maker)]
        return f"what {source['stage']} kept of {' + '.join(inner) or 'its data'}"
    if "path" in source:
        return f"{source['type']} {source['path']}"
    families = f" of {', '.join(source['families'])}" if source.get("families") else ""
    mode = f" ({source['mode']})" if source.get("mode") else ""
    return f"{source['rows']} {source['type']} rows{families}{mode}"
