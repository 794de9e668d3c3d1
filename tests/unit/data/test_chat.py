"""From carriers to the renderer's turns."""

from __future__ import annotations

import pytest

from configs.data import SyntheticSource
from halyard.data import synthetic
from halyard.data.chat import to_chat
from halyard.data.images import open_image
from halyard.data.types import ImageRef, Message
from halyard.errors import DataError


def test_turns_keep_their_parts_and_share_opened_images() -> None:
    (row,) = synthetic.make(SyntheticSource(families=("sum",), rows=1))
    asked, answered = to_chat(row.messages)
    assert (asked.role, asked.text, asked.reasoning) == ("user", row.messages[0].text, None)
    assert asked.images[0] is open_image(row.messages[0].images[0])
    assert (answered.text, answered.reasoning, answered.images) == (row.messages[1].text, row.messages[1].reasoning, ())


def test_an_image_that_does_not_open_is_a_data_error() -> None:
    with pytest.raises(DataError, match="there is no image file"):
        to_chat([Message(role="user", text="?", images=(ImageRef(path="none.png"),))])
