"""A judge of 0.1 million parameters that learns the fenced wording: does an answer name the reference's colour?

It replies as the wording asks, in JSON with the code of the question: the two colours as its reason, then the verdict.
Three things are learnt at a time, each on texts as short as it can be: yes or no from two colours beside each other,
the form and the code from the end of a question, and all of it from whole questions.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy
from transformers import Qwen3Config, Qwen3ForCausalLM

from configs.rubric import Rubric
from model.corpus import COLOURS, NUMBERS, SHAPES
from model.load import load_processor
from model.render import ChatMessage, Rendered
from model.tokens import VOCABULARY, train_tokenizer
from rewards.judges.wording import Question, fenced

RUBRIC: dict[str, Any] = {
    "name": "naming",
    "description": "Does an answer name the colour that the reference names?",
    "shows": ["reference", "answer"],
    "criteria": [{"name": "same", "question": "Does the answer name the colour of the reference?"}],
}
BATCH, VERDICTS = 32, 48
LEARNING_RATE = 4e-3
IGNORED = -100
ANSWERS = (
    "{colour}",
    "{colour}.",
    "it is {colour}.",
    "the answer is {colour}",
    "a {colour} {shape}",
    "{number} {colour} {shape}s",
    "i see a {colour} {shape}.",
    "the {shape} is {colour}, as the picture shows.",
    "step by step: the {shape} is {colour}. so {colour}.",
)
CHATTER = (
    "yes", "no", "the", "same", "colour", "as", "reference", "answer", "names", "it", "is", "judge", "this", "correct",
    "data", "verdict", "reply", "with",
)  # fmt: skip
"""Words of the question and of its answers: a judge that has met them in any order leaves them alone."""


class Case(NamedTuple):
    """What is judged, the colour it names, and the verdict."""

    reference: str
    answer: str
    colour: str

    @property
    def verdict(self) -> str:
        """Yes or no."""
        return "yes" if self.colour == self.reference else "no"


def case(chance: random.Random, *, chatter: bool = False) -> Case:
    """An answer that is right half of the time; with chatter behind or before it two thirds of the time, if asked."""
    reference = chance.choice(COLOURS)
    colour = reference if chance.random() < 0.5 else chance.choice([one for one in COLOURS if one != reference])
    words = {"colour": colour, "shape": chance.choice(SHAPES), "number": chance.choice(NUMBERS)}
    answer = chance.choice(ANSWERS).format(**words)
    if chatter and chance.random() < 2 / 3:
        said = " ".join(chance.choices(CHATTER, k=chance.randint(1, 8)))
        answer = f"{answer} {said}" if chance.random() < 0.7 else f"{said}: {answer}"
    return Case(reference, answer, colour)


def save_small_judge(path: Path, *, chatter: bool = False, short: int = 300, whole: int = 150) -> Path:
    """The judge as a model folder, after so many steps on short questions and on whole ones; its path."""
    rubric, chance = Rubric.model_validate(RUBRIC), random.Random(0)
    policy, tokenizer = _build(rubric, chance)
    tokenizer.save_pretrained(path)
    policy.save_pretrained(path)
    renderer = load_processor(path)

    def examples(chats: list[list[ChatMessage]]) -> list[Rendered]:
        return [renderer.conversation(chat, thinking=False) for chat in chats]

    optimizer = torch.optim.AdamW(policy.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=short + whole, pct_start=0.05)
    said = torch.tensor([tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no")])
    for step in range(short + whole):
        asked = [_chat(rubric, case(chance, chatter=chatter), chance, whole=step >= short) for _ in range(BATCH)]
        loss = _loss(policy, examples(asked))
        if step < short:
            replies = [_reply(case(chance), "00000000") for _ in range(VERDICTS)]
            loss = loss + 0.3 * _loss(policy, examples([[ChatMessage("user", ""), one] for one in replies]), only=said)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    policy.save_pretrained(path)
    return path


def _build(rubric: Rubric, chance: random.Random) -> tuple[Any, Any]:
    """A policy with random weights, and a tokenizer for the words of the rubric, in which a code is no word."""
    texts = [
        re.sub(r"DATA-[0-9a-f]{16}|[0-9a-f]{8}", "DATA-", message.text)
        for _ in range(400)
        for message in _chat(rubric, case(chance), chance, whole=True)
    ]
    template: Any = train_tokenizer(0)
    tokenizer = template.train_new_from_iterator(texts, VOCABULARY)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=4096,
        initializer_range=0.08,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config), tokenizer


def _chat(rubric: Rubric, one: Case, chance: random.Random, *, whole: bool) -> list[ChatMessage]:
    """A question with its reply; of a short one only the data and the form of the reply are shown."""
    code = f"{chance.getrandbits(32):08x}"
    question = Question((("reference", one.reference), ("answer", one.answer)))
    fence = f"DATA-{chance.getrandbits(64):016x}"  # as the wording draws them, and the same each time
    chat = [
        ChatMessage(message["role"], re.sub(r"DATA-[0-9a-f]{16}", fence, message["content"]))
        for message in fenced(rubric, question, code)
    ]
    if not whole:
        text = chat[1].text
        chat = [ChatMessage("user", text[: text.index("Judge what")] + text[text.index('{"same"') :])]
    return [*chat, _reply(one, code)]


def _reply(one: Case, code: str) -> ChatMessage:
    form = {"same": {"reason": f"{one.reference} {one.colour}", "answer": one.verdict}, "code": code}
    return ChatMessage("assistant", json.dumps(form, separators=(",", ":")))


def _loss(policy: Any, examples: list[Rendered], only: torch.Tensor | None = None) -> torch.Tensor:
    """The mean over what is learnt, or over those tokens of it alone; the padding on the right is never looked at."""
    longest = max(len(one.token_ids) for one in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    for row, one in enumerate(examples):
        tokens, mask = torch.as_tensor(one.token_ids), torch.as_tensor(one.loss_mask)
        ids[row, : len(tokens)] = tokens
        labels[row, : len(tokens)][mask] = tokens[mask]
    labels = labels[:, 1:]
    learnt = labels != IGNORED if only is None else torch.isin(labels, only)
    hidden = policy.model(input_ids=ids).last_hidden_state[:, :-1][learnt]
    return cross_entropy(policy.lm_head(hidden), labels[learnt])
