"""What a recipe needs of the machine around it: files, keys, disk, ports. Looked at before anything starts."""

from __future__ import annotations

import ast
import glob
import importlib.util
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

from configs.checks import Faults, data_of
from configs.data import FileSource, HuggingFaceSource
from configs.faults import Fault, refuse
from configs.judge import JudgeTerm
from configs.load import LoadedRecipe
from configs.model import ModelConfig
from configs.recipe import Recipe
from configs.rewards import PythonTerm, RewardTerm, Term, all_terms
from configs.rubric import load_rubric
from configs.schema import KeyPath
from configs.stages import RlStage, SftStage
from halyard.errors import ConfigError

GIB = 1024**3
SPARE_GIB = 2.0


def check_surroundings(loaded: LoadedRecipe, runs: Path | None = None) -> None:
    """Nothing, when the files that the recipe names are there; with `runs`, when the machine has room, too.

    Raises:
        ConfigError: something is missing; the message has a line for each.
    """
    faults = [*_models(loaded), *_files(loaded), *_rewards(loaded)]
    if runs is not None:
        faults += _ports(loaded.recipe)
    refuse(faults, loaded.origins)
    if runs is not None:
        _check_disk(loaded, runs)


def _model_folders(recipe: Recipe) -> Iterator[tuple[KeyPath, ModelConfig]]:
    yield ("model",), recipe.model
    for index, stage in enumerate(recipe.stages):
        if isinstance(stage, SftStage) and stage.model is not None:
            yield ("stages", index, "model"), stage.model


def _models(loaded: LoadedRecipe) -> Faults:
    for path, model in _model_folders(loaded.recipe):
        if model.path is not None:
            folder = loaded.resolve(model.path)
            if not folder.is_dir():
                yield Fault((*path, "path"), f"is {model.path}, but there is no folder {folder}")
            elif not (folder / "config.json").is_file():
                yield Fault((*path, "path"), f"is {model.path}, but {folder} is no model folder: it has no config.json")


def _files(loaded: LoadedRecipe) -> Faults:
    for path, data in data_of(loaded.recipe):
        for index, source in enumerate(data.sources):
            if isinstance(source, FileSource) and not glob.glob(str(loaded.resolve(source.path)), recursive=True):  # noqa: PTH207 - Path.glob takes no absolute pattern
                message = f"is {source.path}, but no file matches {loaded.resolve(source.path)}"
                yield Fault((*path, "sources", index, "path"), message)
            if isinstance(source, HuggingFaceSource) and source.path.startswith((".", "/", "~")):
                folder = loaded.resolve(source.path)
                if not folder.is_dir():
                    yield Fault((*path, "sources", index, "path"), f"is {source.path}, but there is no folder {folder}")


def _rewards(loaded: LoadedRecipe) -> Faults:
    for index, stage in enumerate(loaded.recipe.stages):
        if isinstance(stage, RlStage):
            for keys, term in all_terms(stage.rewards.terms):
                yield from _term(("stages", index, "rewards", *keys), term, loaded)


def _term(path: KeyPath, term: Term, loaded: LoadedRecipe) -> Faults:
    if isinstance(term, JudgeTerm):
        yield from _judge(path, term, loaded)
    elif isinstance(term, RewardTerm):
        file, _, name = term.name.partition(":")
        if file.endswith(".py"):
            yield from _file(path, "name", file, name, loaded)
    elif isinstance(term, PythonTerm):
        if term.path.endswith(".py"):
            yield from _file(path, "path", term.path, term.name, loaded)
        elif not _importable(term.path):
            yield Fault((*path, "path"), f"is {term.path}, expected a file that ends in .py, or an importable module")


def _judge(path: KeyPath, term: JudgeTerm, loaded: LoadedRecipe) -> Faults:
    if term.api_key_env and not os.environ.get(term.api_key_env):
        yield Fault((*path, "api_key_env"), f"is {term.api_key_env}, but no such environment variable is set")
    try:
        rubric = load_rubric(term.rubric, loaded.root)
    except ConfigError as error:
        yield Fault((*path, "rubric"), f"is {term.rubric}: {error}")
        return
    if term.url is None and "images" in rubric.shows:
        message = f"is {term.rubric}, which shows images, and the pipeline's own judge is asked in text: give a url"
        yield Fault((*path, "rubric"), message)


def _file(path: KeyPath, key: str, written: str, name: str, loaded: LoadedRecipe) -> Faults:
    """Whether the file is there and defines the function, if one is named, without running it."""
    file = loaded.resolve(written)
    if not file.is_file():
        yield Fault((*path, key), f"is {written}, but there is no file {file}")
        return
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except (SyntaxError, UnicodeDecodeError) as error:
        yield Fault((*path, key), f"cannot be read as Python: {file}: {error}")
        return
    if name:
        yield from _function(path, name, file, tree)


def _function(path: KeyPath, name: str, file: Path, tree: ast.Module) -> Faults:
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if name not in defined:
        there = f"it has {', '.join(defined)}" if defined else "it has none"
        yield Fault((*path, "name"), f"is {name}, but {file} defines no function of that name: {there}")


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _ports(recipe: Recipe) -> Faults:
    port = recipe.cluster.learner.port
    if port is None or recipe.cluster.address is not None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            message = f"is {port}, but that port cannot be had on this machine: {error.strerror}; name another, or none"
            yield Fault(("cluster", "learner", "port"), message)


def _check_disk(loaded: LoadedRecipe, runs: Path) -> None:
    there = next(folder for folder in (runs, *runs.absolute().parents) if folder.exists())
    free, needed = shutil.disk_usage(there).free / GIB, room_needed(loaded)
    if free < needed:
        raise ConfigError(
            f"the disk is nearly full: {free:.1f} GiB are free at {there.absolute()}, and this run may need "
            f"{needed:.1f} GiB; free some, or put the run elsewhere with --runs"
        )


def room_needed(loaded: LoadedRecipe) -> float:
    """GiB that a run may write: a snapshot for each trained stage, two checkpoints, and something to spare.

    A checkpoint holds float32 weights and two moments: six times the weights of a folder in two bytes each.
    """
    model = loaded.recipe.model
    folder = loaded.resolve(model.path) if model.path is not None else None
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / GIB if folder else 0.0
    trained = sum(isinstance(stage, SftStage | RlStage) for stage in loaded.recipe.stages)
    return SPARE_GIB + weights * (trained + 2 * 6)
