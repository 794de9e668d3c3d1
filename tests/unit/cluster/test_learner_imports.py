from __future__ import annotations

import subprocess
import sys


def test_the_driver_of_a_learner_loads_neither_deepspeed_nor_vllm() -> None:
    """Not by importing the learner, and not by unpickling what its ranks send."""
    code = (
        "import pickle, sys, halyard.cluster.learner; from halyard.cluster.rank_types import RankUpdate;"
        "pickle.loads(pickle.dumps(RankUpdate(loss=1.0)));"
        "print([name for name in ('deepspeed', 'vllm', 'transformers') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
