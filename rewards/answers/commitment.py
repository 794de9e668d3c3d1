r"""Which text of an answer is the final answer: the last one that it commits to, and one alone.

A box counts before all words. Of several different boxes the last counts where the words between say that it is a
later step or a correction; side by side they are a list where a list is asked for, and no commitment where not.
Without a box, a plainly labelled answer ("the answer is 42"), what the last sentence states, or a text that is nothing
but the answer counts.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from rewards.answers.numerals import number
from rewards.answers.statements import conclusion, items, statement
from rewards.normal import formula, tidy
from rewards.sample import brief
from rewards.structure import box_spans

LONGEST_BARE = 200
"""Characters of a text without box that may be nothing but the answer."""
MOST_BOXES = 100

_HIDDEN = re.compile(r"\\(?:[hv]?phantom|textcolor|color|[lrc]lap|smash|transparent)(?![a-zA-Z])")
_LISTING = re.compile(
    r"(?:\\text\{\s*(?:and|or)\s*\}|\\\(|\\\)|[a-zA-Z](?:_\{?\w\}?)?\s*=|and|or|[和或与及]|以及|[\s,;、.$])*"
)
_ONWARD = re.compile(
    r"\b(?:therefore|thus|hence|so|then|next|finally|final|total|step|now|which gives|gives|giving|wait|correction|"
    r"corrected|mistake|error|sorry|instead|should (?:be|have been)|rather"
    r"|recheck|rechecking|no,|conclusion|conclude|summary|summari[sz]e)\b|"
    r"因此|所以|于是|故|最终|最后|更正|纠正|不对|综上",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"\b(?:or|alternatively|either|(?:could|might) (?:also )?be|possibly|another (?:possible )?answer)\b|或者?",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\b(?:scratch that|withdraw|retract|disregard|ignore (?:that|this|the above)|(?:is|was|'s|are) (?:actually )?"
    r"(?:wrong|incorrect|not right|not correct|invalid|mistaken|a mistake)|"
    r"i (?:was|am|'m) (?:wrong|mistaken|not sure|unsure)|made (?:a|an) (?:mistake|error)|no wait|wait, no|not sure"
    r"|can(?:'t|not) tell|do(?:n't| not) know|not certain)\b|"
    r"撤回|不对|错了|不确定",
    re.IGNORECASE,
)
_ASKED = re.compile(r"[\s$*)]*\?")
_EITHER = re.compile(r"\beither\s+\S+\s+or\W*$|\S+\s+or\W*$", re.IGNORECASE)
_BOLD = re.compile(r"(?<![\w*])\*\*([^*\n]+)\*\*(?![\w*])")
_STRAY = re.compile(r"(?<=\S)\*\*(?=\s|$|[-–—,.:])|(?<=\s)\*\*(?=\S)")
_NESTED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_INSIDE = re.compile(
    r"^(?:\\text\{\s*)?(?:(?:the )?(?:final )?answer\s*(?:is|:|=)|答案\s*(?:是|为)?\s*[:：]?"
    r"|(?:the )?(?:ordered )?(?:point|pair|triple|vector|vertex|interval|set)s?(?: is| are|:)?(?=[\s}]*[$\\(\[{]))"
    r"\s*\}?",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"(?:\b(?<!reference )(?:answer|(?:correct|right|best) (?:option|choice))(?:\s|\*\*)*"
    r"(?:is|(?:would|must|should|has to|can only) be|:|=|：|\n)"
    r"|答案\s*(?:是|为|:|：)|(?:故|因此|所以|应)(?:答案)?选(?:择|项)?|####"
    r"|\b(?:choose|select|pick|go with|opt for)(?= (?:option |answer )?\(?[A-J]\b))"
    r"[\s:：*}]*(?:(?:therefore|thus|then|hence|simply)\s+)?(?:option\s+|选项?)?"
    r"((?:[^\n。.]|\.(?=\S))+)",
    re.IGNORECASE,
)


class Final(NamedTuple):
    """The text of the final answer, or why there is none."""

    text: str
    fault: str = ""


def final(answer: str, listed: bool, worded: bool = False) -> Final:
    """The final answer of a text without its reasoning.

    `listed` where several things are asked for; `worded` where words are, so that a sentence is an answer.
    """
    spans = box_spans(answer)
    if _HIDDEN.search(answer):
        return Final("", "hidden text is no answer")
    if not spans:
        return _unboxed(answer, worded)
    head, tail = answer[: spans[0].before], answer[spans[-1].after :]
    if _TAKEN_BACK.search(tail) or _ASKED.match(tail):
        return _anew(tail)
    if len(spans) == 1:
        text = answer[spans[0].start : spans[0].end].strip()
        if re.match(r"\W*\b(?:or|alternatively)\b", tail) or _EITHER.search(head[-60:]):
            return Final("", "more than one answer")
        text = _INSIDE.sub("", _NESTED.sub(r"\1", text) if "box" in text else text)
        return Final(text) if text else Final("", "the box is empty")
    return _of_several(answer, listed)


def _of_several(answer: str, listed: bool) -> Final:
    """The last box, all boxes of a list, or no commitment."""
    spans = box_spans(answer)
    if len(spans) > MOST_BOXES:
        return Final("", f"{len(spans)} boxes")
    texts = [answer[span.start : span.end].strip() for span in spans]
    between = [answer[one.after : other.before] for one, other in pairwise(spans)]
    kept = [texts[0]]
    for text, words in zip(texts[1:], between, strict=True):
        if _same(text, kept[-1]):
            continue
        listing = _LISTING.fullmatch(words) is not None
        if listing and listed:
            kept.append(text)
        elif not listing and _ONWARD.search(words) and not _OTHERWISE.search(words):
            kept = [text]
        else:
            kept.append(text)
            listed = False
    if len(kept) == 1:
        return Final(kept[0]) if kept[0] else Final("", "the box is empty")
    if listed:
        return Final(", ".join(kept))
    return Final("", f"{len(kept)} different boxes: {brief(', '.join(kept[:5]))}")


def _same(one: str, other: str) -> bool:
    """Whether two boxes are plainly the same."""
    first, second = formula(tidy(one)), formula(tidy(other))
    return first == second or (number(first) is not None and number(first) == number(second))


def _unboxed(answer: str, worded: bool) -> Final:
    labelled = _LABEL.findall(answer)
    if labelled:
        tail = answer[answer.rfind(labelled[-1]) + len(labelled[-1]) :]
        said = labelled[-1] if worded else statement(labelled[-1], labelled=True) or labelled[-1]
        return _anew(tail) if _TAKEN_BACK.search(tail) else Final(_clean(said))
    text = answer.strip()
    if "boxed" in text or not text:
        return Final("", "no \\boxed{}")
    stated = items(text) or ((conclusion(text) if "\n" in text else None) if worded else statement(text))
    if stated is None and ("\n" in text or len(text) > LONGEST_BARE):
        return Final("", "no \\boxed{}")
    return Final(_clean(stated or text))


def _anew(tail: str) -> Final:
    """The answer that is given in place of one that is taken back."""
    labelled = _LABEL.findall(tail)
    stated = labelled[-1] if labelled else statement(tail)
    return Final(_clean(stated)) if stated else Final("", "the answer is taken back")


def _clean(text: str) -> str:
    """What a label was put before, without the marks around it."""
    text = _STRAY.sub("", _BOLD.sub(r"\1", text)).strip().strip("*_` ").rstrip(".。!,; ")
    return text[1:-1].strip() if len(text) > 2 and text[0] == text[-1] == "$" else text.removeprefix("**").strip()
