"""Format, language, repetition, exact, regex: what is paid and what is not, by hand."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from halyard.errors import ConfigError
from rewards.registry import load
from rewards.sample import Sample
from rewards.structure import split
from rewards.verifiers.format import structure
from rewards.verifiers.language import LANGUAGES, language, spoken
from rewards.verifiers.repetition import repeated, repetition
from rewards.verifiers.text import exact, pattern


def sample(response: str, reference: str | None = None, *, thinking: bool = False, **more: Any) -> Sample:
    parts = split(response, thinking)
    fields: dict[str, Any] = {"prompt": "How many cats are there?", "task": "exact", **more}
    return Sample(
        response=response,
        answer=parts.answer,
        reasoning=parts.reasoning,
        reference=reference,
        thinking=thinking,
        **fields,
    )


GOOD = r"<think>2 and 3 are 5</think>\boxed{5}"


@pytest.mark.parametrize(
    ("response", "whole", "partial"),
    [
        (GOOD, 1, 1), ("\n" + GOOD, 1, 1), (r"so " + GOOD, 0, 4 / 5), (r"<think>so</think>5", 0, 4 / 5),
        (r"<think></think>\boxed{5}", 0, 4 / 5), (r"<think>...</think>\boxed{5}", 0, 4 / 5),
        (r"<think>so</think>\boxed{}", 0, 0), (r"<think>so</think>\boxed{ }", 0, 0),
        (r"<think>so</think>\boxed{.}", 0, 0),
        (r"<think></think>\boxed{}", 0, 0), (r"<think>\boxed{5}</think>", 0, 0), ("", 0, 0), (" ", 0, 0),
        ("\u200b", 0, 0),
        (r"<think>so</think>\boxed{5} \boxed{6}", 0, 4 / 5), (r"\boxed{5}", 0, 2 / 5), (r"<think>\boxed{5}", 0, 0),
        (r"<think>so</think>\boxed{\text{}}", 0, 0), (r"<think>so</think>\boxed{\pi}", 1, 1),
        ("<think>\u200b</think>\\boxed{5}", 0, 4 / 5),
        ("<think>so</think>\\boxed{\u200b}", 0, 0), (r"<think>so</think>\boxed{<}", 1, 1),
        (r"<think>so</think>\boxed{$ $}", 0, 0),
        (r"<think>a</think><think>b</think>\boxed{5}", 0, 4 / 5), (r"so</think>\boxed{5}", 0, 3 / 5),
    ],
)  # fmt: skip
def test_the_think_answer_structure(response: str, whole: float, partial: float) -> None:
    """Five components in thinking mode for math: tags, start, reasoning, answer, box."""
    asked = sample(response, thinking=True, task="math")
    assert structure(asked).score == whole
    assert structure(asked, partial=True).score == pytest.approx(partial)


def test_the_components_say_what_is_there() -> None:
    judgement = structure(sample(r"so <think>x</think>5", thinking=True, task="math"))
    assert judgement.parts == {"tags": 1, "start": 0, "reasoning": 1, "answer": 1, "box": 0}
    assert judgement.reason == "does not start with <think>"


@pytest.mark.parametrize(
    ("response", "score"),
    [
        ("red", 1),
        (GOOD, 0),
        ("", 0),
        ("...", 0),
        ("</think>red", 0),
        ("\u200b", 0),
        ("\x00", 0),
        (r"\boxed{}", 0),
        ("+", 1),
    ],
)
def test_direct_mode_has_no_tags(response: str, score: float) -> None:
    assert structure(sample(response)).score == score


@pytest.mark.parametrize(
    ("answer", "reference", "score"),
    [
        ("the red lion.", "The Red Lion", 1), (r"\boxed{The Red Lion}", "The Red Lion", 1),
        ("red lion", "The Red Lion", 0),
        ("The answer is: The Red Lion", "The Red Lion", 1), (r"\boxed{red} \boxed{blue}", "red", 0),
        ("红 狮。", "红 狮", 1),
        ("red", '["crimson", "red"]', 1), ("blue", '["crimson", "red"]', 0),
        ("", "red", 0), ("ｒｅｄ", "red", 1), ("+", "+", 1),
        ("-", "+", 0), ("5.0", "5", 0), ("re\u200bd", "red", 1), ("red or blue", "red", 0), ("3.5", "35", 0),
        (r"\boxed{-\frac34}", r"\frac34", 0), (r"\boxed{\frac34}", r"\frac34", 1), ("-x", "x", 0),
        (r"The answer is \boxed{C}. No, that is wrong: I withdraw it.", "C", 0),
    ],
)  # fmt: skip
def test_exact_compares_words(answer: str, reference: str, score: float) -> None:
    assert exact(sample(answer, reference)).score == score


def test_exact_by_the_letter() -> None:
    scores = [exact(sample(one, "Red."), strict=True).score for one in (" Red. ", "red.", "Red", r"so \boxed{Red.}")]
    assert scores[:3] == [1, 0, 0]
    assert exact(sample("red", None)).score is None


@pytest.mark.parametrize(
    ("text", "settings", "score"),
    [
        ("AB12", {"pattern": r"[A-D]{2}\d+"}, 1), ("so AB12", {"pattern": r"[A-D]{2}\d+"}, 0),
        ("", {"pattern": ".*"}, 0),
        ("so AB12", {"pattern": r"[A-D]{2}\d+", "match": "anywhere"}, 1), (" AB12\n", {"pattern": r"[A-D]{2}\d+"}, 1),
        ("I am sure", {"pattern": "sure", "match": "nowhere"}, 0), ("yes", {"pattern": "sure", "match": "nowhere"}, 1),
        ("ab", {"pattern": "AB", "ignore_case": True}, 1), ("ab", {"pattern": "AB"}, 0),
    ],
)  # fmt: skip
def test_a_pattern_matches(text: str, settings: dict[str, Any], score: float) -> None:
    settings["pattern"] = re.compile(settings["pattern"])
    assert pattern(sample(text), **settings).score == score


def test_the_reference_may_be_the_pattern() -> None:
    assert pattern(sample("ab1", r"[ab]+\d")).score == 1
    assert pattern(sample("ab1", r"[ab")).reason.startswith(
        "bad reference: the regular expression '[ab' cannot be read"
    )
    assert pattern(sample("ab1")).score is None


@pytest.mark.parametrize("written", ["(a|aa)+b", "(a+)+b", "(.*)*b", "(a|a?)+b", "(?:a*)*b"])
def test_a_pattern_without_end_fails_in_time(written: str) -> None:
    began = time.process_time()
    judgement = pattern(sample("a" * 5000), re.compile(written))
    assert time.process_time() - began < 2
    assert judgement.score in (0, None)
    assert judgement.score == 0 or judgement.reason.startswith("timeout: ")


def test_a_pattern_that_is_none_is_refused_at_start() -> None:
    with pytest.raises(ConfigError, match=r"parameter pattern is .*expected a regular expression"):
        load("rewards.verifiers.text", "pattern", {"pattern": "[ab"})
    assert load("rewards.verifiers.text", "pattern", {"pattern": "[ab]"}).function(sample("a")).score == 1


def test_repetition_by_hand() -> None:
    """`a b a b a`: the pairs ab ba ab ba, of which two are new: half are repeated."""
    assert repeated("a b a b a", 2) == pytest.approx(1 / 2)
    assert repeated("a b a b a", 5) == 0
    assert repeated("a b", 3) == 0
    assert repeated("一二一二一", 2) == pytest.approx(1 / 2)


def test_the_penalty_grows_from_what_is_free() -> None:
    half = sample("a b a b a")
    assert repetition(half, n=2, free=0).score == pytest.approx(-1 / 2)
    assert repetition(half, n=2, free=0.25).score == pytest.approx(-1 / 3)
    assert repetition(half, n=2, free=0.25, weight=3).score == pytest.approx(-1)
    assert repetition(half, n=2, free=0.5).score == 0


@pytest.mark.parametrize(
    "text",
    ["so " * 500, "a" * 5000, "我" * 500, "!" * 500, "wait, " * 300, "0.3" + "3" * 3000, "\\frac{" * 500, "🙂" * 400],
)
def test_loops_of_any_kind_cost_almost_all(text: str) -> None:
    score = repetition(sample(text)).score
    assert score is not None
    assert -1 <= score < -0.9


def test_prose_and_nothing_cost_nothing() -> None:
    prose = (
        "There are three red circles on the left, and two more on the right. That makes five red circles. "
        "The blue square does not count, as it is no circle. So the answer is five: \\boxed{5}."
    )
    assert repetition(sample(prose)).score == 0
    assert repetition(sample("")).score == 0


TEXTS = {
    "en": "There are seven cats in the picture, and two of them are asleep.",
    "de": "Auf dem Bild sind sieben Katzen, und zwei von ihnen schlafen.",
    "fr": "Il y a sept chats dans l'image, et deux sont sur le lit.",
    "es": "Hay siete gatos en la imagen y dos de los gatos están en la cama.",
    "it": "Ci sono sette gatti nella foto e due non si vedono più.",
    "pt": "Há sete gatos na imagem e dois não são pretos.",
    "nl": "Er zijn zeven katten op het plaatje en twee van de katten slapen niet.",
    "zh": "图中一共有七只猫，其中两只在睡觉。",
    "ja": "写真には猫が七匹いて、そのうち二匹は寝ています。",
    "ko": "사진에는 고양이가 일곱 마리 있습니다.",
    "ru": "На картинке семь кошек, и две из них спят.",
    "ar": "في الصورة سبع قطط واثنتان منها نائمتان.",
    "he": "בתמונה יש שבעה חתולים ושניים מהם ישנים.",
    "hi": "चित्र में सात बिल्लियाँ हैं।",
    "th": "ในภาพมีแมวเจ็ดตัว",
    "el": "Στην εικόνα υπάρχουν επτά γάτες.",
}


def test_every_language_is_told_from_every_other() -> None:
    assert tuple(TEXTS) == LANGUAGES
    for text_language, text in TEXTS.items():
        assert spoken(text) == text_language
        for asked in LANGUAGES:
            score = language(sample(text), language=asked).score
            assert score is not None
            assert (score > 0.9) == (asked == text_language), (text_language, asked, score)


def test_a_mixed_text_gets_its_share() -> None:
    """Six Chinese characters and four English words."""
    judgement = language(sample("There are seven cats. 一共有七只猫。"), language="zh")
    assert judgement.score == pytest.approx(6 / 10)
    assert language(sample("There are seven cats. 一共有七只猫。"), language="zh", threshold=0.7).score == 0
    assert language(sample("There are seven cats. 一共有七只猫。"), language="zh", threshold=0.6).score == 1


@pytest.mark.parametrize(
    ("text", "score"),
    [
        (r"设 $x = \text{the number of cats}$，则 \boxed{seven}。", 1), ("用 ```print('the cats')``` 计算。", 1),
        (r"x 为 5 cm，所以 \(\sin x\) 已知。", 1), (r"\boxed{5}", 1), ("5", 1), ("", 0), ("  ", 0), ("\u200b", 0),
        (r"<think></think>\boxed{}", 0), ("<think></think>", 0), ("。。。", 0),
    ],
)  # fmt: skip
def test_formulas_and_code_are_in_no_language(text: str, score: float) -> None:
    assert language(sample(text), language="zh").score == score


def test_the_language_asked_for_is_named_or_the_prompts() -> None:
    assert language(sample(TEXTS["en"])).score == 1
    assert language(sample(TEXTS["en"], prompt="图中有几只猫？")).score == 0
    assert language(sample(TEXTS["zh"], metadata={"language": "zh"})).score == 1
    assert language(sample(TEXTS["zh"], metadata={"language": "xx"})).reason.startswith(
        "bad reference: the language 'xx'"
    )


@pytest.mark.parametrize(
    "piece", ["$", "`", "\\(", "\\[", "\\boxed{", "<a", "```", "我", "a", "a. ", "http://", "\\", "("]
)
@pytest.mark.parametrize("judge", [language, repetition, structure, exact])
def test_long_nonsense_takes_linear_time(piece: str, judge: Any) -> None:
    began = time.process_time()
    judge(sample(piece * (100_000 // len(piece)), "x"))
    assert time.process_time() - began < 2
