"""The examples of docs/data.md do what the page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from configs.data import DataConfig
from halyard.data.sources import load
from halyard.data.synthetic import FAMILIES

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "data.md").read_text()
BLOCKS = re.findall(r"^```(\w+) ?(\w*)\n(.*?)^```", PAGE, flags=re.S | re.M)


def blocks(language: str) -> list[tuple[str, str]]:
    return [(note, text) for kind, note, text in BLOCKS if kind == language]


@pytest.mark.parametrize(("layout", "text"), blocks("json"))
def test_rows_load_as_shown(layout: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (2, 2)).save(tmp_path / "photos" / "basket.jpg")
    (tmp_path / "videos" / "robot").mkdir(parents=True)
    Image.new("RGB", (2, 2)).save(tmp_path / "videos" / "robot" / "1.png")
    (tmp_path / "rows.jsonl").write_text(text)
    source = {"type": "jsonl", "path": "rows.jsonl", "layout": layout or "native"}
    config = DataConfig.model_validate({"sources": [source]})
    (row,) = load(config, renderer=None, root=tmp_path, stage_rows=Path, need="answer").rows
    assert row.answer is not None
    assert row.answer in json.dumps(json.loads(text))


def test_the_mixture_is_a_valid_recipe_part() -> None:
    ((_, text),) = blocks("yaml")
    assert len(DataConfig.model_validate(YAML(typ="safe").load(text)).sources) == 5


def test_the_python_runs() -> None:
    for _, text in blocks("python"):
        exec(compile(text, "docs/data.md", "exec"), {})


def test_every_family_is_described() -> None:
    assert re.findall(r"^\| `(\w+)` \| .* \| (\w+) \|$", PAGE, flags=re.M) == [(n, f.task) for n, f in FAMILIES.items()]


def test_the_refusal_reads_as_shown(tmp_path: Path) -> None:
    ((_, expected),) = blocks("text")
    lines: list[dict] = [{"prompt": "?", "answer": "1"} for _ in range(100)]
    lines[3] = {"prompt": "?"}
    lines[16]["images"] = ["photos/17.png"]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)))
    config = DataConfig.model_validate({"sources": [{"type": "jsonl", "path": "mine.jsonl"}]})
    with pytest.raises(Exception, match="2 of 100") as refusal:
        load(config, renderer=None, root=tmp_path, stage_rows=Path, need="answer")
    assert str(refusal.value).replace(f"{tmp_path}/", "") == expected.strip()
