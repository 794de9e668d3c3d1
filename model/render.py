"""Conversations as token ids, with the mask of what is learnt: one function grows both, so they cannot drift.

    chat ──▶ Renderer.prompt        ids up to where the assistant begins to write; nothing is learnt
         ──▶ Renderer.conversation  the same ids, then the assistant's tokens, which are learnt

Learnt is exactly what a policy writes: `<think>`, reasoning, `</think>`, the answer and the end-of-turn token.
Content never turns into control tokens: a user who types `<|im_end|>` or `<IMG_CONTEXT>` gets plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from PIL.Image import Image
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from halyard.errors import DataError
from model.chat_format import DIRECT, END, START, THINK, THINK_END, THINKING, ChatFormat
from model.sight import SAIL_VL2_MARKS, ImageMarks, Sight
from model.video import Video


@dataclass(frozen=True, slots=True)
class ChatMessage:
    r"""One turn: its images come first, then its videos, then its text.

    An assistant that thought has `reasoning` beside its answer.

    >>> ChatMessage("assistant", "\\boxed{5}", reasoning="2 + 3 = 5.").images
    ()
    """

    role: Literal["system", "user", "assistant"]
    text: str
    images: tuple[Image, ...] = ()
    reasoning: str | None = None
    videos: tuple[Video, ...] = ()


Chat = Sequence[ChatMessage]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A conversation as a policy sees it.

    `token_ids` [tokens], int64, hold the image placeholders expanded; `loss_mask` [tokens], bool, is True where a
    token is learnt; `pixel_values` [images, 3, height, width], float32, and `images` are in the placeholders' order.

    Images stand here as the tower sees them: each tile is one, and so is each frame of a video. Those of a policy
    of native resolution have `pixel_values` [patches, 3, patch size, patch size] and `image_grids` [images, 2].
    """

    token_ids: np.ndarray
    loss_mask: np.ndarray
    pixel_values: np.ndarray | None
    images: tuple[Image, ...]
    image_grids: np.ndarray | None = None


@dataclass(slots=True)
class _Script:
    """Ids, mask and views of a conversation as it is written; an image is cut into at most `tiles`.

    Neighbouring texts of one kind are encoded together, as the chat template's text would be; control tokens and
    the border of what is learnt cut them, as they do when a policy goes on after its prompt.
    """

    tokenizer: Tokenizer
    tiles: int = 1
    token_ids: list[int] = field(default_factory=list)
    loss_mask: list[bool] = field(default_factory=list)
    views: list[Image] = field(default_factory=list)
    _text: str = ""
    _learnt: bool = False

    def text(self, text: str, *, learnt: bool) -> None:
        """Write plain text, in which nothing is a control token."""
        if learnt != self._learnt:
            self._flush()
        self._text, self._learnt = self._text + text, learnt

    def token(self, token_id: int, *, learnt: bool, times: int = 1) -> None:
        """Write a control token."""
        self._flush()
        self.token_ids += [token_id] * times
        self.loss_mask += [learnt] * times

    def done(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask."""
        self._flush()
        return np.array(self.token_ids, dtype=np.int64), np.array(self.loss_mask, dtype=bool)

    def _flush(self) -> None:
        ids = self.tokenizer.encode(self._text, add_special_tokens=False).ids if self._text else []
        self.token_ids += ids
        self.loss_mask += [self._learnt] * len(ids)
        self._text = ""


class Renderer:
    """Writes conversations for one policy and reads what the policy wrote. `model.load.load_processor` makes one."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        chat_format: ChatFormat,
        visual: Sight | None = None,
        marks: ImageMarks = SAIL_VL2_MARKS,
    ) -> None:
        self.tokenizer: Any = tokenizer  # its methods are typed for batches and single texts at once
        self.chat_format = chat_format
        self._visual = visual
        self._marks = marks
        # A copy that reads control tokens in text as plain characters.
        self._plain = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._plain.encode_special_tokens = True
        self._visible = {self.id_of(THINK), self.id_of(THINK_END)}
        self._hidden = set(tokenizer.all_special_ids) - self._visible

    @property
    def eos_token_id(self) -> int:
        """The end-of-turn token, with which a policy ends its answer."""
        return self.id_of(END)

    @property
    def image_token_id(self) -> int | None:
        """The token that image features are written over; None when the policy takes no images."""
        return self.id_of(self._marks.token) if self._visual else None

    @property
    def vocab_size(self) -> int:
        """Tokens that the tokenizer knows, control tokens among them."""
        return len(self.tokenizer)

    def id_of(self, token: str) -> int:
        """The id of a control token."""
        return self.tokenizer.convert_tokens_to_ids(token)

    def without_marks(self, ids: Iterable[int], each: int = 1) -> list[int]:
        """Ids without the marks around images, and of every `each` placeholders the first."""
        start, image, end = (self.id_of(mark) for mark in (self._marks.start, self._marks.token, self._marks.end))
        kept, placeholders = [], 0
        for one in ids:
            if one == image:
                placeholders += 1
            if one not in (start, end) and (one != image or placeholders % each == 1 % each):
                kept.append(one)
        return kept

    def decode(self, ids: Iterable[int]) -> str:
        """Text of tokens for people and rewards: `<think>` and `</think>` stay, other control tokens do not."""
        return self.tokenizer.decode([i for i in map(int, ids) if i not in self._hidden], skip_special_tokens=False)

    def prompt(self, chat: Chat, *, thinking: bool) -> Rendered:
        """The prompt of a chat that ends with the user's turn: ids up to where the assistant begins to write.

        Raises:
            DataError: the chat is empty or ends with the assistant, or has images that the policy cannot take.
        """
        if not chat or chat[-1].role == "assistant":
            raise DataError(
                "a prompt ends with a turn of the user (or the system), expected it to leave the answer out"
            )
        script = self._script(chat)
        self._write(script, chat, thinking=thinking)
        self._open_answer(script, thinking=thinking, last=True)
        rendered = self._rendered(script)
        return replace(rendered, loss_mask=np.zeros_like(rendered.loss_mask))

    def conversation(self, chat: Chat, *, thinking: bool) -> Rendered:
        """A chat that ends with the assistant's turn, with the mask of what is learnt.

        The ids begin with those of the chat's own prompt. In direct mode reasoning is left out. Which earlier
        turns are learnt, and with their reasoning or without, is the format's choice: see `ChatFormat`.

        Raises:
            DataError: the chat does not end with the assistant, or has images that the policy cannot take.
        """
        if not chat or chat[-1].role != "assistant":
            raise DataError("a conversation to learn from ends with a turn of the assistant, but this one does not")
        script = self._script(chat)
        self._write(script, chat, thinking=thinking)
        return self._rendered(script)

    def visual_tokens(self, sizes: Sequence[tuple[int, int]]) -> list[int]:
        """Placeholders that images of these sizes (width, height) take in one conversation, before any is opened.

        Raises:
            DataError: the policy takes no images.
        """
        if self._visual is None:
            raise DataError("this policy reads text only: images have no tokens in it")
        tiles = self._visual.budget(len(sizes))
        return [self._visual.tokens(size, tiles) for size in sizes]

    def _script(self, chat: Chat) -> _Script:
        images = sum(len(message.images) for message in chat)
        return _Script(self._plain, self._visual.budget(images) if self._visual else 1)

    def _write(self, script: _Script, chat: Chat, *, thinking: bool) -> None:
        if self.chat_format.default_system is not None and chat[0].role != "system":
            self._write_question(script, ChatMessage("system", self.chat_format.default_system), thinking=thinking)
        for index, message in enumerate(chat):
            if message.role == "assistant":
                self._write_answer(script, message, thinking=thinking, last=index == len(chat) - 1)
            else:
                self._write_question(script, message, thinking=thinking)

    def _write_question(self, script: _Script, message: ChatMessage, *, thinking: bool) -> None:
        script.token(self.id_of(START), learnt=False)
        script.text(f"{message.role}\n", learnt=False)
        self._write_images(script, message)
        self._write_videos(script, message)
        script.text(message.text, learnt=False)
        if message.role == "user":
            self._write_mode(script, thinking=thinking)
        script.token(self.id_of(END), learnt=False)
        script.text(self.chat_format.after_turn, learnt=False)

    def _write_mode(self, script: _Script, *, thinking: bool) -> None:
        if self.chat_format.mode == "tokens":
            script.token(self.id_of(THINKING if thinking else DIRECT), learnt=False)
        elif self.chat_format.mode == "request" and thinking:
            for piece in re.split(f"({THINK}|{THINK_END})", self.chat_format.request):
                if piece in (THINK, THINK_END):  # the request names them, and means the tokens
                    self._write_think(script, piece, learnt=False)
                else:
                    script.text(piece, learnt=False)

    def _write_images(self, script: _Script, message: ChatMessage) -> None:
        for number, image in enumerate(message.images, start=1):
            if len(message.images) > 1:
                script.text(self.chat_format.image_name.format(number), learnt=False)
            self._write_image(script, image, script.tiles)
            script.text(self.chat_format.after_image, learnt=False)

    def _write_videos(self, script: _Script, message: ChatMessage) -> None:
        """Frames with their timestamps, a line each, each one tile.

        Source: VLMEvalKit's `sail_vl.py` for "Frame-k: " and the single tile; the timestamp is ours.
        """
        for video in message.videos:
            for number, (frame, seconds) in enumerate(zip(video.frames, video.seconds, strict=True), start=1):
                script.text(f"Frame-{number} ({seconds:.1f}s): ", learnt=False)
                self._write_image(script, frame, 1)
                script.text("\n", learnt=False)

    def _write_image(self, script: _Script, image: Image, tiles: int) -> None:
        if self._visual is None:
            raise DataError(
                "the chat has an image, but this policy reads text only: leave images out, or use one that sees"
            )
        script.token(self.id_of(self._marks.start), learnt=False)
        script.token(self.id_of(self._marks.token), learnt=False, times=self._visual.tokens(image.size, tiles))
        script.token(self.id_of(self._marks.end), learnt=False)
        script.views += self._visual.views(image, tiles)

    def _open_answer(self, script: _Script, *, thinking: bool, last: bool) -> None:
        """Where the assistant begins to write; direct mode is shown here by formats that have no tokens for it."""
        script.token(self.id_of(START), learnt=False)
        script.text("assistant\n", learnt=False)
        if not thinking and last and self.chat_format.mode == "block":
            self._write_reasoning(script, "", learnt=False)
            script.text(self.chat_format.before_answer, learnt=False)

    def _write_answer(self, script: _Script, message: ChatMessage, *, thinking: bool, last: bool) -> None:
        layout = self.chat_format
        if message.images or message.videos:
            raise DataError("an assistant's turn has an image, but a policy writes text alone")
        learnt = last or layout.keeps_history
        self._open_answer(script, thinking=thinking, last=last)
        reasoning = message.reasoning
        if layout.mode == "block":  # a thinking turn of Qwen3's always has its block, be it empty
            reasoning = (reasoning or "").strip("\n") if last else None
        if thinking and reasoning is not None:
            self._write_reasoning(script, reasoning, learnt=learnt)
            script.text(layout.before_answer, learnt=learnt)
        script.text(message.text, learnt=learnt)
        script.token(self.eos_token_id, learnt=learnt)
        script.text(layout.after_turn, learnt=False)

    def _write_reasoning(self, script: _Script, reasoning: str, *, learnt: bool) -> None:
        around = self.chat_format.around_reasoning
        self._write_think(script, THINK, learnt=learnt)
        script.text(f"{around}{reasoning}{around}", learnt=learnt)
        self._write_think(script, THINK_END, learnt=learnt)

    def _write_think(self, script: _Script, mark: str, *, learnt: bool) -> None:
        """`<think>` or `</think>`, which some families' vocabularies have no token for: it is plain text there."""
        if self._plain.token_to_id(mark) is None:
            script.text(mark, learnt=learnt)
        else:
            script.token(self.id_of(mark), learnt=learnt)

    def _rendered(self, script: _Script) -> Rendered:
        token_ids, loss_mask = script.done()
        pixels, grids = self._visual.stack(script.views) if self._visual and script.views else (None, None)
        return Rendered(
            token_ids=token_ids,
            loss_mask=loss_mask,
            pixel_values=pixels,
            images=tuple(script.views),
            image_grids=grids,
        )
