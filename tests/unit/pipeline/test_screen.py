"""What a person sees, on a terminal and in a log."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from halyard.pipeline.screen import Screen, duration, number


def test_a_log_gets_plain_lines_and_not_too_many() -> None:
    file = io.StringIO()
    screen = Screen(file)
    with screen.stage("1/2 basic-sft"):
        for step in range(1, 101):
            screen.progress(step, 100, {"loss": 1 / step, "tokens_per_second": 12345.6})
    screen.done("1/2 basic-sft", "loss 0.01")
    lines = file.getvalue().splitlines()
    assert lines == [
        "1/2 basic-sft ...",
        "  1/100  loss 1  tokens/s 12,346",
        "  100/100  loss 0.01  tokens/s 12,346",
        "✓ 1/2 basic-sft  loss 0.01",
    ]


def test_the_preflight_is_a_table() -> None:
    file = io.StringIO()
    Screen(file).checks([{"name": "weights", "status": "ok", "detail": "[all] 12 change", "seconds": 0.1}])
    assert file.getvalue().split() == ["✓", "weights", "[all]", "12", "change"]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (0.7341, "0.734"), (1.234e-5, "1.2e-05"), (12345.6, "12,346"), (-0.5, "-0.5")]
)
def test_figures_are_short(value: float, shown: str) -> None:
    assert number(value) == shown


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (8.14, 59.4, 200)] == ["8.1 s", "59.4 s", "3 min 20 s"]


NOISE = """
import logging, os, subprocess, sys, warnings
from pathlib import Path
from halyard.pipeline.quiet import quiet

with quiet(Path(sys.argv[1])) as terminal:
    print("a library prints")
    sys.stdout.flush()
    os.write(2, b"C prints\\n")
    subprocess.run(["echo", "a child prints"], check=True)
    logging.getLogger("ray").warning("a logger warns")
    warnings.warn("something is old")
    print("the run speaks", file=terminal, flush=True)
print("after")
print("an error", file=sys.stderr)
"""


def test_only_the_run_speaks(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "driver.log"
    result = subprocess.run([sys.executable, "-c", NOISE, str(log)], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("the run speaks\nafter\n", "an error\n")
    text = log.read_text()
    for said in ("a library prints", "C prints", "a child prints", "WARNING ray: a logger warns", "something is old"):
        assert said in text
