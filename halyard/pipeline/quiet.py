"""The terminal belongs to the run's own words: everything else that is written to it goes to a log file."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

_SILENCED = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[TextIO]:
    """The user's stdout, while file descriptors 1 and 2 of this process and its children lead to `log`.

    Libraries print from Python, from C and from processes of their own; only the descriptors catch them all.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    with log.open("a", encoding="utf-8") as file, os.fdopen(terminal, "w", encoding="utf-8") as screen:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            with _settings():
                yield screen
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            screen.flush()
            os.dup2(screen.fileno(), 1)
            os.dup2(errors, 2)
            os.close(errors)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """Progress bars off, log records and warnings with their time and origin."""
    before = {name: os.environ.get(name) for name in _SILENCED}
    os.environ |= {name: value for name, value in _SILENCED.items() if before[name] is None}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with warnings.catch_warnings():
            logging.captureWarnings(True)
            yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
