"""Reading data costs neither torch nor a cluster; the libraries of one kind of file come with that kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import sys
import halyard.data.curate, halyard.data.images, halyard.data.judge_prompt, halyard.data.mixture, halyard.data.sources
heavy = {"torch", "ray", "vllm", "transformers", "datasets", "pyarrow"} & set(sys.modules)
sys.exit(f"loaded {heavy}" if heavy else 0)
"""


def test_importing_the_sources_loads_nothing_heavy() -> None:
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
