"""Whatever a record holds, reading it gives a row or a reason; never another error."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from halyard.data.conversation import Unfit
from halyard.data.layouts import LAYOUTS
from halyard.data.rows import KEYS, from_record
from halyard.data.types import Row

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8)
words = st.sampled_from(["role", "content", "type", "text", "image", "image_url", "url", "images", "drawing", "bytes"])
values = st.recursive(
    scalars | st.sampled_from(["user", "assistant", "text", "image", "<image>?", "<think>a</think>b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
columns = st.sampled_from(
    [*KEYS, "reward_model", "extra_info", "ability", "data_source", "solution", "completion", "image"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(columns, values, max_size=5), st.sampled_from(sorted(LAYOUTS)))
def test_any_record_is_a_row_or_has_a_reason(record: dict, layout: str) -> None:
    try:
        row = from_record(LAYOUTS[layout](record), source="f:1", folder=Path("/data"))
    except Unfit:
        return
    assert isinstance(row, Row)
    assert row.messages
