"""The tutorial of docs/rewards.md, from the idea to the run, word for word."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from support.commands import HALYARD, ROOT, halyard, lines
from support.pages import Command, blocks, commands

from halyard.runs.stage import StageFolder

SECTION = "From an idea to a run in ten minutes"


def run(command: Command, folder: Path) -> None:
    """Run a command as it is written; it must end and print as the page says."""
    program, *arguments = shlex.split(command.line)
    if program == "halyard":
        result = halyard(*arguments, cwd=folder)
    else:
        assert program == "python"
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        result = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    said = f"$ {command.line}\n{result.stdout}\n{result.stderr}"
    assert result.returncode == command.code, said
    printed = [" ".join(line.split()) for line in result.stdout.splitlines()]
    for line in command.shows:
        assert any(line in one for one in printed), f"the page says {line!r}:\n{said}"


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    assert HALYARD
    ran = []
    for block in blocks("rewards.md", SECTION):
        if block.language == "console":
            for command in commands(block):
                run(command, tmp_path)
                ran.append(command.line)
        else:
            (tmp_path / block.note).write_text(block.text)
    assert any(line.startswith("halyard run ") for line in ran)
    stage = tmp_path / "runs" / "first" / "stages" / "02-rl"
    assert [line["step"] for line in lines(stage / "metrics.jsonl")] == list(range(1, 9))
    judged = list(StageFolder(stage).read_rollouts())
    assert {name for record in judged for name in record.components} >= {"concise", "concise.right", "concise.words"}
    assert 0 < sum(record.reward or 0 for record in judged) / len(judged) <= 1
    assert "<svg" in (tmp_path / "replay.html").read_text()
    assert json.loads((tmp_path / "cases.jsonl").read_text().splitlines()[0])["expected"] is True
