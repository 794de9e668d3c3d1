"""Answers as coloured tokens: what is hostile is shown, and what is half a character waits for its other half."""

from __future__ import annotations

from serving.dashboard.tokens import _pieces, coloured

WORDS = {1: b"\xc3", 2: b"\xa9", 3: b"<b>\n"}
"""Two tokens are the bytes of one character, and one is a tag."""


class Tokenizer:
    def decode(self, ids, skip_special_tokens):
        return b"".join(WORDS[one] for one in ids).decode(errors="replace")


class Renderer:
    tokenizer = Tokenizer()


def test_the_bytes_of_a_character_are_one_piece() -> None:
    pieces = _pieces(Renderer(), [1, 2, 3], [-0.1, -0.2, -3.0])  # type: ignore[arg-type]
    assert [(text, logprob) for text, _, logprob in pieces] == [("é", -0.2), ("<b>\n", -3.0)]
    assert pieces[0][1] == "token 1 2: probability 81.9%, log-prob -0.200"


def test_half_a_character_at_the_end_is_shown_as_what_it_is() -> None:
    assert [text for text, _, _ in _pieces(Renderer(), [3, 1], [0.0, 0.0])] == ["<b>\n", "\ufffd"]  # type: ignore[arg-type]


def test_a_tag_in_an_answer_is_text() -> None:
    page = coloured([("<b>\n", 'say "x"', -3.0)])
    assert "<b>" not in page
    assert "&lt;b&gt;<span class='mark'>↵</span>\n" in page
    assert "title='say &quot;x&quot;'" in page


def test_what_was_certain_has_no_colour_and_what_was_not_has_more_the_less_likely_it_was() -> None:
    shares = [int(coloured([("a", "", logprob)]).split("--d:")[1].split("'")[0]) for logprob in (0.0, -0.7, -5.0)]
    assert shares[0] == 0
    assert 0 < shares[1] < shares[2] <= 85
