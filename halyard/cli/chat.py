"""`halyard chat`: talk to a snapshot on this machine, in one process and without an engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halyard.cli.shell import console, hush
from halyard.cli.snapshot import RunOrSnapshot, policy_folder
from halyard.errors import DataError, HalyardError

if TYPE_CHECKING:
    from PIL.Image import Image

    from halyard.cli.speaker import Speaker
    from model.render import ChatMessage
    from model.video import Video

HELP = (
    "/image FILE, /video FILE  show it with your next message\n/think, /no-think  change the mode\n/new  begin again\n"
)


def chat(
    snapshot: RunOrSnapshot,
    message: Annotated[str | None, typer.Argument(help="Ask this alone and exit; a conversation if left out.")] = None,
    image: Annotated[list[Path] | None, typer.Option(help="Show an image with the first message.")] = None,
    think: Annotated[bool, typer.Option("--think/--no-think", help="Ask for reasoning before the answer.")] = True,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    temperature: Annotated[float, typer.Option(min=0, help="0 always takes the likeliest token.")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="For temperatures above 0.")] = 0,
) -> None:
    """Talk to a policy: a snapshot, a run's newest one, or a model folder. Reasoning is shown dimmed.

    Example: `halyard chat runs/quickstart-001 "What is 3 + 4?"`
    """
    hush()
    folder = policy_folder(snapshot)
    images = tuple(_open(path) for path in image or ())
    with console().status(f"Loading {folder} ..."):
        from halyard.cli.speaker import Speaker

        speaker = Speaker.load(folder, max_tokens=max_tokens, temperature=temperature, seed=seed)
    conversation = Conversation(speaker, think, images)
    if message is not None:
        conversation.say(message)
        return
    typer.secho(f"{folder}: /help lists what else can be said, Ctrl-D ends.", dim=True)
    for line in _lines():
        conversation.hear(line)


def _open(path: Path) -> Image:
    from halyard.data.images import open_image
    from halyard.data.types import ImageRef

    return open_image(ImageRef(path=str(path)))


def _lines() -> Iterator[str]:
    """What the user types, line after line, until the end of input."""
    import readline  # noqa: F401 - input() then has a history and can be edited

    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        if line:
            yield line


@dataclass(slots=True)
class Conversation:
    """The turns so far, and what the next one is to have."""

    speaker: Speaker
    think: bool
    images: tuple[Image, ...] = ()
    videos: tuple[Video, ...] = ()
    turns: list[ChatMessage] = field(default_factory=list)

    def hear(self, line: str) -> None:
        """Act on a line: an order that begins with a slash, or something to answer."""
        order, _, rest = line.partition(" ")
        if order in ("/image", "/video"):
            try:
                self._show(order, Path(rest).expanduser())
            except DataError as error:
                typer.secho(str(error), fg=typer.colors.RED)
        elif order in ("/think", "/no-think"):
            self.think = order == "/think"
        elif order == "/new":
            self.turns, self.images, self.videos = [], (), ()
        elif order.startswith("/"):
            typer.secho(HELP, dim=True)
        else:
            try:
                self.say(line)
            except KeyboardInterrupt:
                typer.echo(" (interrupted)")
                self.turns.pop()
            except HalyardError as error:
                typer.secho(str(error), fg=typer.colors.RED)
                self.turns.pop()

    def _show(self, order: str, path: Path) -> None:
        from model.video import read_video

        if order == "/image":
            self.images += (_open(path),)
        else:
            self.videos += (read_video(path),)

    def say(self, text: str) -> None:
        """Ask, print the answer as it comes, and remember both."""
        from model.render import ChatMessage
        from rewards.structure import split

        self.turns.append(ChatMessage(role="user", text=text, images=self.images, videos=self.videos))
        answer = ""
        for piece in self.speaker.answer(self.turns, thinking=self.think):
            answer += piece
            thinking = answer.lstrip().startswith("<think>") and ("</think>" not in answer or piece == "</think>")
            typer.secho(piece, nl=False, dim=thinking)
        typer.echo()
        response = split(answer, self.think)
        self.images, self.videos = (), ()
        self.turns.append(ChatMessage(role="assistant", text=response.answer, reasoning=response.reasoning))
