"""The reference page says what the schema says, today."""

from __future__ import annotations

import re

from configs.document import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make docs"


def test_every_key_has_a_meaning_and_every_link_a_target() -> None:
    text = page()
    assert "| |" not in text.replace("|  |", "| |").replace("\\|", "")
    titles = {title.replace("`", "").replace(" ", "-") for title in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\(#([^)]*)\)", text)) <= titles
