r"""What the last sentence of an answer states, where nothing is boxed or labelled: "so she needs 12 tiles"."""

from __future__ import annotations

import re

from rewards.answers.numerals import WORDS

LONGEST = 400
"""Characters of a last line that is read as a conclusion."""
MOST_WORDS = 8
"""Words in a statement, units and what is counted among them."""

_DOUBT = re.compile(
    r"\b(?:not|never|neither|nor|no|either|or|maybe|perhaps|possibly|might|may be|could be|if|unless|guess|unsure"
    r"|unclear|some(?:one|body)|said|says?|claims?|reference|hard|but|tried|try|suppose|assume|let|check(?:ing)?|verify"
    r"|verification|recall|note|example|step|wrong|incorrect|options?|discard|reject"
    r"|(?:more|less|fewer|greater|other) than|at (?:least|most))\b"
    r"|n't\b|\?|[不没或若设]|可能|也许|如果|检验|验证",
    re.IGNORECASE,
)
"""Words before a statement that leave it in doubt, or make it another's."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z$\\*一-鿿])|(?<=[。！？])")
_VERB = re.compile(
    r"(?:\b(?:is|are|was|were|be|equals?|equal to|becomes|gives?|giving|yields?|get|obtain|find|have|has|so|thus"
    r"|therefore|hence|then|total of|conclude that|on(?= [JFMASOND])|in(?= \d{4}$))\b|[:：≈]|等于"
    r"|一?共有?|坐标为|[是为得有了]|所以|因此|故|综上(?:所述)?|即)"
    r"[\s,，:：]*(?:(?:exactly|precisely|about|approximately|roughly|only|simply|just|at|the point|大?约)\s*)*",
    re.IGNORECASE,
)
_LAST_STEP = re.compile(r",\s*(?:and\s+)?(?:so|hence|thus|therefore)\s+(?=\$?[a-zA-Z](?:_\w)?\s*=)")
_COUNTS = "|".join(sorted(WORDS, key=len, reverse=True))
_MONTHS = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)\b(?= \d)"
_MATHS = re.compile(
    rf"[-+−±≈~]?\s*(?:[\d$€£¥√π(\[{{⟨（［｛]|\\(?!text)|\.\d|[a-zA-Z](?:_\{{?\w\}}?|[₀-₉])?\s*(?:=|∈|\\in\b|[<>≤≥])"
    rf"|(?:minus |negative )?(?:{_COUNTS})\b|{_MONTHS}|(?-i:\d?[A-Z][a-z]?(?:[\d₀-₉]|[A-Z(])))"
    r"|[一二两三四五六七八九十百]+(?![的般])",
    re.IGNORECASE,
)
_FIGURE = re.compile(rf"(?<![A-Za-z\d.\\^_{{第])(?:{_MONTHS}\s+)?[-−$€£¥]?\d|\b(?:{_COUNTS})\b", re.IGNORECASE)
_CONCLUDES = re.compile(
    r"^\W*(?:so|thus|therefore|hence|then|in total|altogether|in all|finally|in conclusion|consequently|overall"
    r"|it takes|there)\b|^\W*(?:综上|所以|因此|故|答|一?共|总共)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"(?<!\\)\$[^$]+(?<!\\)\$|\\\(.+?\\\)")
_BOLD = re.compile(r"(?<![0-9A-Za-z_*)\]}])\*\*\s*([^*\n]+?)\s*\*\*(?![0-9A-Za-z_*(\[{\\])")
"""Marked as bold; within a formula, two stars are a power."""
_DISPLAY = re.compile(r"(?:\\\[|\$\$)((?:(?!\\\[|\$\$).){1,300})(?:\\\]|\$\$)\.?$", re.DOTALL)
_AFTER = re.compile(
    r"[,，;]?\s+(?:to (?![\d$\\])|in (?=the\b|total|all\b|this\b|each\b)|(?:from|at) (?=the\b|a\b)|on |for "
    r"|with |that |which |because |since |as |when |where |so |such that |directed |pointing "
    r"|(?:\w+er|more|less|fewer) than |left\b"
    r"|altogether|in (?:total|all)\b).*$"
    r"|\s+(?:was|were) [a-z]+$|\s+of (?!them\b|these\b|those\b|\d)(?:[a-z]+ ){0,3}[a-z]+$"
    r"|\s+(?:of (?:[a-z]+ ){1,3})?(?:is|are|was|were|will be|must be) (?:needed|required|left|produced|possible|used"
    r"|formed|released|remaining)\b.*$"
    r"|\s+(?:in (?:total|all)|altogether|long|wide|tall|high|deep)$|[,，]\s*(?:和|与)?(?:符合|满足).*$",
    re.DOTALL,
)
_ITEM = re.compile(r"(?:\d{1,2}[.)]|[-*•])\s+(?=\S)")
_COUNTED = re.compile(
    r"\b(?:question|problem|equation|figure|table|page|chapter|section|case|part|step)\s+$", re.IGNORECASE
)
"""What has a number that is none of its own."""
_PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z][a-z]+\s+[a-z]{2,}|[一-鿿]{2,}")
_WORD = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}|[一-鿿]{3,}")


def statement(text: str, labelled: bool = False) -> str | None:
    r"""What the last sentence of a text states, if it states one thing in figures or in bold; else None.

    A text that is `labelled` as the answer, or is no more than one sentence, states the one figure that it has.

    >>> statement("We add 3 and 4. So there are seven apples."), statement("It is 7 or it is 8.")
    ('seven apples', None)
    """
    display = _DISPLAY.search(text[-LONGEST:].rstrip())
    if display:
        return display[1].strip().rstrip(".") if "=" not in display[1] or "\n" in text else None
    sentence = _last(text)
    if not sentence:
        return None
    alone = labelled or len(text.strip()) <= len(sentence) + 1
    return _bold(sentence) or _stated(_BOLD.sub(r"\1", sentence), alone)


def conclusion(text: str) -> str | None:
    r"""The last sentence of a text, or what alone is bold in it; None where the last line is too long.

    >>> conclusion("Light is absorbed.\n\nThis is called **photosynthesis**.")
    'photosynthesis'
    """
    sentence = _last(text)
    return sentence and (_bold(sentence) or sentence)


def _last(text: str) -> str | None:
    line = text.rstrip().rpartition("\n")[2].strip()
    return _SENTENCE.split(line.rstrip("。"))[-1].strip().rstrip(".!,;") if 0 < len(line) <= LONGEST else None


def _bold(sentence: str) -> str | None:
    bold = set(_BOLD.findall(sentence))
    return bold.pop().rstrip(".:") if len(bold) == 1 and not _DOUBT.search(_BOLD.sub("", sentence)) else None


def items(text: str) -> str | None:
    r"""The lines of a list that a text ends with, as one list; None where it ends with none or is more than that.

    >>> items("The phases are:\n- solid\n- liquid"), items("1. mitosis\n2. meiosis")
    ('solid, liquid', '1. mitosis 2. meiosis')
    """
    if "\n" not in text:
        return None
    lines = [line.strip() for line in text[-LONGEST:].splitlines() if line.strip()]
    if not lines or not _ITEM.match(lines[-1]):
        return None
    start = next((i for i in range(len(lines), 0, -1) if not _ITEM.match(lines[i - 1])), 0)
    if len(lines) - start < 2 or (start and not lines[start - 1].rstrip("*").endswith((":", "："))):
        return None
    listed = lines[start:]
    if all(line[0].isdigit() for line in listed):
        return " ".join(listed)
    return ", ".join(_ITEM.sub("", line).rstrip(".,;") for line in listed)


def _stated(sentence: str, alone: bool) -> str | None:
    """What stands behind the first verb with nothing but a statement behind it, or the one figure of a conclusion."""
    for verb in (*_LAST_STEP.finditer(sentence), *_VERB.finditer(sentence)):
        found = _pure(sentence, verb.end())
        if found:
            return None if _states(sentence[: verb.start()]) else found
    if not alone and not _CONCLUDES.match(sentence):
        return None
    spans = list(_SPAN.finditer(sentence))
    figures = spans or list(_FIGURE.finditer(sentence))
    start = figures[0].start() if figures else 0
    if not start or len(spans) > 1 or not _PROSE.search(sentence, 0, start) or _COUNTED.search(sentence, 0, start):
        return None
    return _pure(sentence, start)


def _pure(sentence: str, start: int) -> str | None:
    """The mathematics from a place to the end of a sentence, with a few words such as units; None for anything else."""
    if not _MATHS.match(sentence, start) or _DOUBT.search(sentence, 0, start):
        return None
    said = sentence[start:]
    found = _AFTER.sub("", said).strip()
    if (
        "?" in said
        or _DOUBT.search(said, len(found))
        or _DOUBT.search(re.sub(r"\bor\b", "", found))
        or len(_WORD.findall(found)) > MOST_WORDS
        or re.search(r"\b(?:is|are|was|were|be|has|have)\b|[是为]", found)
    ):
        return None
    return _undollared(found) or None


def _states(head: str) -> bool:
    """Whether the words before a statement make another one: `x is 3 and y is 5`."""
    clause = head.rpartition(",")[2]
    return any(_MATHS.match(clause, verb.end()) for verb in _VERB.finditer(clause) if verb[0].strip(" ,:："))


def _undollared(text: str) -> str:
    r"""The text without the marks of formulas, `$` and `\(`, but with those of money."""
    bare = re.sub(r"\\[()]", "", text)
    return re.sub(r"(?<!\\)\$", "", bare) if len(re.findall(r"(?<!\\)\$", bare)) % 2 == 0 else bare
