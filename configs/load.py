"""Recipes from files and shipped ones by name, with overrides: valid and whole, or refused before anything starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from configs.checks import contradictions
from configs.faults import Origins, describe, nearest, refuse
from configs.overrides import override
from configs.recipe import Recipe
from configs.text import read_file
from halyard.errors import ConfigError

SHIPPED = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRecipe:
    """A recipe with its file: `root` is the folder that its relative paths start from."""

    recipe: Recipe
    root: Path
    path: Path
    origins: Origins = field(repr=False)

    def resolve(self, path: str) -> Path:
        """A path of the recipe, absolute."""
        return self.root / Path(path).expanduser()


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> LoadedRecipe:
    """The recipe of that name or file, with the overrides in it.

    Raises:
        ConfigError: there is no such recipe, or it is wrong; the message has a line for every fault.
    """
    path = find_recipe(name_or_path)
    document = read_file(path)
    shown = _shown(path)
    origins = Origins({keys: f"{shown}:{line}" for keys, line in document.lines.items()})
    if not isinstance(document.value, dict):
        raise ConfigError(f"{shown}: this is no recipe: expected keys, name, model and stages among them")
    places = dict(origins.places)
    for text in overrides:
        places[override(document.value, text)] = f"override {text}"
    origins = Origins(places)
    try:
        recipe = Recipe.model_validate(document.value)
    except ValidationError as error:
        malformed = {fault.path for fault in document.faults}
        faults = [fault for fault in describe(error.errors(), Recipe) if fault.path not in malformed]
        refuse([*document.faults, *faults], origins)
        raise
    refuse([*document.faults, *contradictions(recipe)], origins)
    return LoadedRecipe(recipe=recipe, root=path.parent, path=path, origins=origins)


def shipped() -> dict[str, Path]:
    """The recipes that come with Halyard, by name."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.yaml"))}


def find_recipe(name_or_path: str) -> Path:
    """Absolute path of a recipe: a file's, or a shipped one's by name.

    Raises:
        ConfigError: there is none; the message lists the shipped ones.
    """
    recipes = shipped()
    if name_or_path in recipes:
        return recipes[name_or_path]
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path.resolve()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise ConfigError(f"there is no recipe file {name_or_path}; shipped recipes go by name: {', '.join(recipes)}")
    near = nearest(name_or_path, recipes) or "."
    raise ConfigError(f"there is no recipe {name_or_path}{near} Shipped recipes: {', '.join(recipes)}")


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
