"""Other people's clients: the examples of the docs with curl, and vLLM's own benchmark of a server."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

from support.commands import ROOT
from support.serving_process import OPERATOR


def test_the_benchmark_client_of_vllm_runs_as_the_docs_say(server, tmp_path) -> None:
    """As it is: it finds the model and its tokenizer by itself."""
    (command,) = re.findall(r"```sh\n(vllm bench serve .*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    asked = shlex.split(command.replace("http://127.0.0.1:8000", server.url).replace("\\\n", " "))[3:]
    asked += ["--num-prompts", "12", "--save-result", "--result-dir", str(tmp_path), "--result-filename", "figures"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.vllm_client", *asked, "--header", f"Authorization=Bearer {OPERATOR}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures").read_text())
    assert (figures["completed"], figures["failed"]) == (12, 0), done.stdout + done.stderr
    assert figures["total_output_tokens"] == 12 * 64


def test_the_examples_of_the_docs_do_what_they_say(server) -> None:
    """Every Python block and every curl before the section on runs, in order, against this service."""
    page = (ROOT / "docs" / "serving.md").read_text().split("\n## Runs\n")[0]
    for old, new in (
        ("http://127.0.0.1:8000", server.url),
        ("quickstart-001", "tiny"),
        ("04-verifiable-rl", "01-a"),
        ("09-mixed-rl", "02-b"),
        ("not needed on loopback", OPERATOR),
        ("curl -s", f"curl -sS --fail-with-body -H 'authorization: Bearer {OPERATOR}'"),
    ):
        page = page.replace(old, new)
    names: dict = {}
    blocks = re.findall(r"```(python|bash)\n(.*?)```", page, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "bash", "python", "python", "bash"]
    for kind, block in blocks:
        if kind == "python":
            exec(block, names)
        else:
            done = subprocess.run(["bash", "-ec", block], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            last = done.stdout
    assert json.loads(names["answer"].choices[0].message.content)["sum"] in (6, 7, 8)
    assert '"worst_load"' in last
