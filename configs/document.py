"""The reference of recipes, docs/configuration.md, from the schema itself: `python -m configs.document` writes it."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from configs.faults import literal
from configs.live import is_live
from configs.recipe import Recipe
from configs.rewards import RewardsConfig
from configs.schema import Model, models, tags
from configs.term import BaseTerm

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """\
# Every key of a recipe

<!-- Made from the schema by `make docs`; change configs/*.py instead. -->

A recipe is a YAML file (YAML 1.2: `1e-6` is a number, `no` is a word) whose keys are all checked before anything
starts: what is not known is refused, with the nearest valid name. Relative paths start from the recipe's folder.

```
halyard recipe check my.yaml                          # is it valid, and is there what it names?
halyard run my.yaml cluster.engine.cpus=4             # any key can be changed on the command line
halyard run quickstart verifiable-rl.steps=60         # stages go by their names
halyard run quickstart stages.3.sampling.top_p=1.0    # or by their index, from 0
halyard run quickstart model.build=null model.path=policy/
```

A field whose default is **required** must be given. *none* as a default means that the field may be left out.
What is marked **live** can be changed while a stage that trains goes on: `halyard runs set RUN KEY VALUE`.
"""
MANY = 8
"""Members of a union that are no longer listed wherever it stands; there is one such union, that of terms."""
_MARKS = re.compile(r"\[([^\]]*)\]\(#[^)]*\)|[`*\\]")
WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Any: "anything"}


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join([HEAD, *(line for model in _reachable(Recipe) for line in _section(model))])


def _reachable(model: Model) -> list[Model]:
    """A model and all below it, each once, nearest first; what terms have in common stands before them."""
    found = [model]
    for known in found:
        inner = [part for field in known.model_fields.values() for part in models(field.annotation)]
        if any(issubclass(part, BaseTerm) for part in inner):
            inner.insert(0, BaseTerm)
        found += [part for part in dict.fromkeys(inner) if part not in found]
    return found


def _section(model: Model) -> Iterator[str]:
    yield f"## {_title(model)}"
    yield ""
    yield _prose(inspect.getdoc(model) or "")
    yield ""
    if model is BaseTerm:
        kinds = models(RewardsConfig.model_fields["terms"].annotation)
        yield f"Types: {', '.join(map(_link, kinds))}."
        yield ""
    fields = {name: field for name, field in model.model_fields.items() if not (name == "type" and tags(model))}
    if model is not BaseTerm and issubclass(model, BaseTerm):
        fields = {name: field for name, field in fields.items() if name not in BaseTerm.model_fields}
        yield "Beside the keys of [all terms](#terms)" + (":" if fields else " it has none.")
        yield ""
    if fields:
        yield "| key | type | default | meaning |"
        yield "|---|---|---|---|"
        for name, field in fields.items():
            yield f"| `{name}` | {_type(field)} | {_default(field)} | {_meaning(field)} |"
        yield ""


def _title(model: Model) -> str:
    """What a part is called, as in "engine", or "a stage of type `rl`"."""
    if model is BaseTerm:
        return "terms"
    kinds = " or ".join(f"`{tag}`" for tag in tags(model))
    for suffix, noun in (("Stage", "stage"), ("Source", "source"), ("Term", "term")):
        if kinds and model.__name__.endswith(suffix):
            return f"{noun} of type {kinds}"
    return model.__name__.removesuffix("Config").lower()


def _link(model: Model) -> str:
    anchor = _title(model).replace("`", "").replace(" ", "-")
    return f"[{' or '.join(f'`{tag}`' for tag in tags(model)) or _title(model)}](#{anchor})"


def in_words(field: FieldInfo) -> tuple[str, str]:
    """A field's type and its default as on the page, without the marks of Markdown."""
    return _MARKS.sub(r"\1", _type(field)), _MARKS.sub(r"\1", _default(field))


def _type(field: FieldInfo) -> str:
    limits = "".join(_limits(field.metadata))
    return (_words(field.annotation) + limits).replace("|", "\\|")


def _words(annotation: Any) -> str:
    """A type in words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(parts[0]) + "".join(_limits(parts[1:]))
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    if origin in (Union, types.UnionType):
        if len(models(annotation)) > MANY:
            return f"one of the [terms](#{_title(BaseTerm)})"
        return ", ".join(_words(part) for part in parts if part is not type(None))
    if origin is tuple:
        inner = [part for part in parts if part is not Ellipsis]
        return f"list of {_words(inner[0])}" if Ellipsis in parts else f"list of {len(inner)}: {_words(inner[0])}"
    if origin is dict:
        return "keys with values"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _link(annotation)
    return WORDS[annotation]


def _limits(metadata: Any) -> Iterator[str]:
    """Bounds among a type's annotations, in words."""
    for bound in (inner for item in metadata for inner in getattr(item, "metadata", [item])):
        match bound:
            case annotated_types.Ge(ge=value):
                yield f", at least {value}"
            case annotated_types.Gt(gt=value):
                yield f", more than {value}"
            case annotated_types.Le(le=value):
                yield f", at most {value}"
            case annotated_types.Lt(lt=value):
                yield f", less than {value}"
            case annotated_types.MinLen(min_length=value):
                yield f", at least {value}"
            case _:
                pass


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "*none*"
    return "its defaults" if isinstance(value, BaseModel) and not _given(value) else f"`{_yaml(value)}`"


def _given(part: BaseModel) -> dict[str, Any]:
    """What a default says beyond the defaults of its own fields, and its type."""
    fields = {"type": tags(type(part))} if tags(type(part)) else {}
    return {key: part.model_dump()[key] for key in [*fields, *part.model_dump(exclude_defaults=True)]}


def _yaml(value: Any) -> str:
    """A default on one line, as YAML would write it."""
    if isinstance(value, BaseModel):
        value = _given(value)
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(_yaml(inner) for inner in value)}]"
    if isinstance(value, str):
        return value or "''"
    return f"{value:g}" if isinstance(value, float) else literal(value)


def _meaning(field: FieldInfo) -> str:
    """A field's own docstring, or the first line of its part's."""
    parts = models(field.annotation)
    text = _prose(field.description or (inspect.getdoc(parts[0]) or "").split("\n")[0])
    return f"{text} **live**" if is_live(field) else text


def _prose(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
