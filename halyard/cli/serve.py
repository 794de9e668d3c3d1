"""`halyard serve`: snapshots over HTTP, for OpenAI's clients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN_OR_SNAPSHOT...", help="Folders of runs or snapshots, or of all runs."),
    ],
    host: Annotated[str | None, typer.Option(help="Address to listen at. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. [default: 8000]")
    ] = None,
    engines: Annotated[int | None, typer.Option(min=1, help="Snapshots served side by side. [default: 1]")] = None,
    api_keys: Annotated[Path | None, typer.Option(help="File of API keys, a line each: NAME SCOPES KEY.")] = None,
    image_host: Annotated[list[str] | None, typer.Option(help="A host that images may be fetched from.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings and limits.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Where aliases are kept. [default: .serving beside the first run]")
    ] = None,
) -> None:
    """Serve the snapshots of runs behind OpenAI's API, until Ctrl-C or SIGTERM.

    A model is named RUN@VERSION, or RUN@latest, RUN@best, RUN@stable. Snapshots of a run that still trains
    appear by themselves. Of the folder that all runs lie in, which may be empty, every run is served, and those
    that come.

    Example: `halyard serve runs/quickstart-001`
    """
    from configs.serving import load_serving

    engine = {"count": engines} if engines else None
    given: dict[str, Any] = {"host": host, "port": port, "engine": engine, "image_hosts": image_host or None}
    settings = load_serving(config, {key: value for key, value in given.items() if value is not None})
    from serving.server import serve as serve_until_told

    serve_until_told(paths, state or default_state(paths[0]), settings, api_keys)


def default_state(path: Path) -> Path:
    """The folder of the aliases of what is served: `.serving` beside the runs."""
    from serving.runs import root_of

    return root_of(path) / ".serving"
