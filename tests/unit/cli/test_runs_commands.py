"""`halyard runs` as docs/serving.md shows it, over HTTP, against a run that goes on."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.old_runs import write_run
from support.recipes_for_tests import SMALL, written
from support.run_api import CONSUMER, OPERATOR, listening, make_app
from typer.testing import CliRunner, Result

from configs.load import load_recipe
from halyard.cli.main import app
from halyard.runs.folder import RunFolder

PAGE = (Path(__file__).parents[3] / "docs" / "serving.md").read_text(encoding="utf-8")
SHOWN = [line for line in re.findall(r"^halyard (runs .*)$", PAGE, re.MULTILINE) if "start" not in line]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder.create(tmp_path / "runs", "short", load_recipe(written(tmp_path, SMALL)).recipe)
    content = (folder.path / "recipe.json").read_text()
    write_run(folder.path, [("a [circle]", 0.0), ("5", 1.0)], stage="02-rl")
    (folder.path / "recipe.json").write_text(content)
    with folder.lock():
        folder.event("stage_started", stage="rl")
        folder.stage(2, "rl").record({"step": 1, "reward": 0.25})
        yield folder


@pytest.fixture
def url(run: RunFolder, tmp_path: Path) -> Iterator[str]:
    with listening(make_app(run.path.parent, tmp_path)) as address:
        yield address


def halyard(url: str, *words: str, key: str = OPERATOR) -> Result:
    environment = {"HALYARD_URL": url, "HALYARD_API_KEY": key, "COLUMNS": "200"}
    return CliRunner().invoke(app, list(words), env=environment)


def test_every_command_of_the_docs_does_what_it_says(run: RunFolder, url: str) -> None:
    said = {}
    for line in SHOWN:
        if line == "runs resume short":
            run.event("paused", stage="rl", step=1, who="ops")
        result = halyard(url, *shlex.split(line.replace(" --follow", "")))
        assert result.exit_code == 0, (line, result.stderr)
        said[line.split()[1]] = result.stdout
    assert {"list", "show", "events", "rollouts", "set", "checkpoint", "pause", "resume", "stop"} == said.keys()
    assert "short  running  rl     1/2   small" in said["list"]
    assert "optimizer.learning_rate  1e-06" in said["show"]
    assert "A: a [circle]" in said["rollouts"]
    assert "A: 5" not in said["rollouts"]
    assert "stage_started  stage rl" in said["events"]
    given = [json.loads(file.read_text()) for file in sorted((run.path / "orders").iterdir())]
    assert [order["verb"] for order in given] == ["set", "set", "checkpoint", "pause", "resume", "stop"]
    assert (given[0]["value"], given[0]["who"], given[0]["why"]) == (5e-3, "ops", "the reward stands still")


def test_every_curl_of_the_docs_does_what_it_says(run: RunFolder, url: str) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.split("\n## Runs\n")[1].split("\n## ")[0], re.DOTALL)
    for old, new in (
        ("http://127.0.0.1:8000", url),
        ("stage=verifiable-rl&start=10", "stage=rl"),
        ("curl -s", f"curl --fail-with-body --max-time 2 -H 'authorization: Bearer {OPERATOR}' -s"),
        ("\\\n", " "),
    ):
        block = block.replace(old, new)
    commands = block.splitlines()
    done = [subprocess.run(["bash", "-c", one], capture_output=True, text=True, check=False) for one in commands]
    still_open = 28  # a stream of events goes on until the run ends
    assert [one.returncode for one in done] == [0, 0, still_open, 0], [one.stdout for one in done]
    shown, figures, events, changed = (one.stdout for one in done)
    assert json.loads(shown)["name"] == "short"
    assert json.loads(figures)["lines"][0]["reward"] == 0.25
    assert "stage_started" in events
    assert json.loads(changed)["verb"] == "set"
    (order,) = (run.path / "orders").iterdir()
    assert json.loads(order.read_text())["key"] == "max_staleness"


def test_refusals_are_sentences(run: RunFolder, url: str) -> None:
    for words, said in [
        (["show", "shrt"], "there is no run 'shrt' here"),
        (["set", "short", "steps", "3"], "steps of rl cannot be changed while the run goes on"),
        (["resume", "short"], "the run short is running, and can only go on when it rests"),
    ]:
        result = halyard(url, "runs", *words)
        assert result.exit_code == 2
        assert said in result.stderr
    result = halyard(url, "runs", "stop", "short", key=CONSUMER)
    assert result.exit_code == 2
    assert "the key alice lacks the scope operate; the key is read from $HALYARD_API_KEY" in result.stderr
    result = halyard("http://127.0.0.1:9", "runs", "list")
    assert result.exit_code == 1
    assert "start one with `halyard serve RUN`" in result.stderr


def test_listings_for_programs(url: str) -> None:
    (listed,) = json.loads(halyard(url, "runs", "list", "--json").stdout)
    assert (listed["name"], listed["state"]) == ("short", "running")
    (answer, other) = [
        json.loads(one) for one in halyard(url, "runs", "rollouts", "short", "--json").stdout.splitlines()
    ]
    assert {answer["text"], other["text"]} == {"5", "a [circle]"}
