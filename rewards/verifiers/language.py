"""Is the response in the language that was asked for? By script, and between languages of one script by small words.

A rule and no model, so that a verdict can be explained and costs microseconds. What it cannot tell: languages
written in Cyrillic, Arabic or Devanagari among themselves, and Latin ones that are not listed from those that are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal, get_args

from pydantic import Field

from rewards.failures import failed
from rewards.registry import reward
from rewards.sample import Judgement, Sample, brief
from rewards.verifiers.reading import Part, part_of

Language = Literal["en", "de", "fr", "es", "it", "pt", "nl", "zh", "ja", "ko", "ru", "ar", "he", "hi", "th", "el"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_SCRIPTS = {
    "han": "\u3400-\u9fff\uf900-\ufaff", "kana": "\u3040-\u30ff", "hangul": "\uac00-\ud7af\u1100-\u11ff",
    "thai": "\u0e00-\u0e7f", "cyrillic": "\u0400-\u04ff", "arabic": "\u0600-\u06ff", "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f", "greek": "\u0370-\u03ff", "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}  # fmt: skip
_UNSPACED = ("han", "kana", "thai")
_UNIT = re.compile(
    "|".join(f"(?P<{name}>[{chars}]{'' if name in _UNSPACED else '+'})" for name, chars in _SCRIPTS.items())
)
"""What is counted: words, or single characters in scripts that put no space between words."""
_OF: dict[str, tuple[str, ...]] = {
    "zh": ("han",), "ja": ("han", "kana"), "ko": ("hangul",), "ru": ("cyrillic",), "ar": ("arabic",),
    "he": ("hebrew",), "hi": ("devanagari",), "th": ("thai",), "el": ("greek",),
}  # fmt: skip
_SMALL_WORDS = {
    "en": "the of and to is that it for was on are with as be at this have from or by not but what which we there so a "
    "an has were its you",
    "de": "der die das und ist nicht ein eine zu den mit von auf für im dem sich auch es an werden aus sind wir wird",
    "fr": "le la les des et est un une que qui dans pour pas sur il elle nous avec ce cette sont du par au donc ou",
    "es": "el la los las de que y en un una es por con para se no su lo como más pero son del al está hay entonces",
    "it": "il lo la gli le di che è un una per con non si sono della del nel alla anche come più ma quindi dal questo",
    "pt": "o a os as de que e em um uma é por com para não se na no do da mais como mas são ao então dos isso",
    "nl": "de het een en van is dat in niet op te zijn met voor aan er maar om ook als bij wordt naar dus deze door",
}
_SPEAKERS: dict[str, tuple[str, ...]] = {
    word: tuple(name for name, words in _SMALL_WORDS.items() if word in words.split())
    for words in _SMALL_WORDS.values()
    for word in words.split()
}
"""The languages that a small word belongs to."""
_NO_PROSE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$[^$]*\$\$|\$[^$\n]*\$|\\\[(?:(?!\\\[).)*?\\\]|\\\((?:(?!\\\().)*?\\\)|https?://\S+|</?[a-zA-Z][^<>\n]*>"
    r"|\\(?:boxed|fbox)\s*\{[^{}]*\}|\\[a-zA-Z]+",
    re.DOTALL,
)
_SENTENCE = re.compile(r"[^.!?。！？\n]+")
_LATIN_NAMES = 2
"""Letters up to which a Latin word in another script's text is a variable or a unit, and in no language."""
_KANA_SHARE = 0.05
"""Kana among the characters of a text above which it is Japanese: hiragana is in every sentence of it."""


@reward
def language(
    sample: Sample,
    language: Language | Literal["asked"] = "asked",
    part: Part = "response",
    threshold: Annotated[float, Field(gt=0, le=1)] | None = None,
) -> Judgement:
    r"""The share of the response's words that are in the language asked for, from 0 to 1.

    Formulas, code, tags, links and boxes are in no language and do not count; a response of those alone gets 1.
    Words are told by their script. Sentences in Latin script are told apart by the small words of English, German,
    French, Spanish, Italian, Portuguese and Dutch; one without small words counts as right. Chinese is Han
    without kana. Cyrillic counts as ru, Arabic script as ar, Devanagari as hi.

    Source: DeepSeek-AI 2025 (DeepSeek-R1, arXiv 2501.12948), section 2.3.2, the language consistency reward: the
    proportion of words in the target language.

    Example: language `zh`, right answer `一共有七只猫。`

    Args:
        language: the language; asked takes the sample's metadata `language`, or else the prompt's own.
        part: what is looked at: the answer, the reasoning, or the whole response.
        threshold: pays 1 from this share on and 0 below it; none pays the share itself.
    """
    target = _asked(sample) if language == "asked" else language
    if target not in LANGUAGES:
        return failed("bad reference", f"the language {target!r} is none of {', '.join(LANGUAGES)}")
    prose = _NO_PROSE.sub(" ", text := part_of(sample, part))
    counted, right = counts(prose, target)
    if not counted:
        said = any(map(str.isalnum, re.sub(r"</?think>|\\[a-zA-Z]+", "", text)))
        return Judgement(float(said), "no words of any language" if said else f"the {part} is empty")
    share = right / counted
    score = share if threshold is None else float(share >= threshold)
    return Judgement(
        score, f"{share:.0%} of {counted} words are {target}: {brief(prose.strip(), 40)}", {"share": share}
    )


def _asked(sample: Sample) -> str:
    named = sample.metadata.get("language")
    return str(named) if named else spoken(sample.prompt)


@lru_cache(maxsize=1024)
def spoken(text: str) -> Language:
    """The language of a text; English where nothing tells.

    >>> spoken("Wie viele Katzen sind auf dem Bild?"), spoken("图中有几只猫？")
    ('de', 'zh')
    """
    prose = _NO_PROSE.sub(" ", text)
    hits = _hits(prose)
    return max(LANGUAGES, key=lambda one: (counts(prose, one)[1], hits[one]))


def counts(prose: str, target: str) -> tuple[int, int]:
    """How many words a text has, and how many of them are in the target language.

    >>> counts("There are seven cats. 一共有七只猫", "zh")
    (10, 6)
    """
    counted = right = 0
    sentences = [(sentence, Counter(_scripts(sentence, target))) for sentence in _SENTENCE.findall(prose)]
    kana = sum(scripts["kana"] for _, scripts in sentences)
    japanese = kana > _KANA_SHARE * sum(scripts["han"] + scripts["kana"] for _, scripts in sentences)
    for sentence, scripts in sentences:
        counted += scripts.total()
        if _fits(sentence, scripts, target, japanese):
            right += sum(scripts[script] for script in _OF.get(target, ("latin",)))
    return counted, right


def _scripts(sentence: str, target: str) -> Iterator[str]:
    for unit in _UNIT.finditer(sentence):
        script = unit.lastgroup or ""
        if script != "latin" or target not in _OF or len(unit[0]) > _LATIN_NAMES:
            yield script


def _fits(sentence: str, scripts: Counter[str], target: str, japanese: bool) -> bool:
    """Whether words in the target's script are in the target language, rather than in another of that script."""
    if target == "zh":
        return not scripts["kana"]
    if target == "ja":
        return japanese
    if target in _OF:
        return True
    hits = _hits(sentence)
    return hits[target] >= max(hits.values(), default=0)


def _hits(text: str) -> Counter[str]:
    """How many small words of each language are in a text."""
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return Counter(name for word in words for name in _SPEAKERS.get(word, ()))
