"""What all commands share: exit codes, and errors as one red sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from halyard.errors import HalyardError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FAILED = 1
STOPPED = 130


class Commands(TyperGroup):
    """A group whose errors become a sentence on stderr and an exit code; `--debug` lets tracebacks through."""

    def invoke(self, ctx: Any) -> Any:
        """What the chosen command returns.

        Raises:
            typer.Exit: with the error's exit code, once it has been told.
        """
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except HalyardError as error:
            code = error.exit_code
            tell(str(error))
        except KeyboardInterrupt:
            code = STOPPED
            tell("Interrupted.")
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if _is_usage(error):
                raise
            code = FAILED
            tell(f"{type(error).__name__}: {error} ({_origin(error)}). `halyard --debug ...` shows the traceback.")
        raise typer.Exit(code)


def _is_usage(error: Exception) -> bool:
    """Whether typer itself tells this error: a wrong option, a missing argument."""
    return hasattr(error, "exit_code") and hasattr(error, "format_message")


def _origin(error: BaseException) -> str:
    """FILE:LINE where an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"


def tell(message: str) -> None:
    """Print an error on stderr; red on a terminal, and never cut or wrapped."""
    typer.secho(message, fg=typer.colors.RED, err=True, color=None if sys.stderr.isatty() else False)


def console() -> Console:
    """Where tables and text for people go: stdout, as wide as the terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def show(drawing: RenderableType) -> None:
    """Nothing; a table or tree is on stdout, wrapped on a terminal and never cut or wrapped elsewhere."""
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else 10_000).print(drawing)


def hush() -> None:
    """Nothing; libraries that are loaded from now on show no bars and tell only errors."""
    os.environ |= {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"}
