from __future__ import annotations

import pytest

from configs.serving import load_serving
from halyard.errors import ConfigError


def test_the_command_line_goes_over_the_file(tmp_path) -> None:
    file = tmp_path / "serving.yaml"
    file.write_text("port: 9000\nengine: {count: 2, max_num_seqs: 8}\nlimits: {queue: 3}\n")
    loaded = load_serving(file, {"engine": {"count": 4}, "host": "0.0.0.0"})
    assert (loaded.port, loaded.host, loaded.limits.queue) == (9000, "0.0.0.0", 3)
    assert (loaded.engine.count, loaded.engine.max_num_seqs) == (4, 8)
    assert load_serving(None, {"port": 0}).port == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot: 9000\n", r"serving\.yaml:1: prot is not a known key; did you mean port\?"),
        ("limits: {queue: -1}\n", r"serving\.yaml:1: limits\.queue is -1, expected at least 0"),
        ("- a\n", "expected keys with values"),
        ("port: 99999\n", "expected at most 65535"),
        ("port: [\n", "not YAML"),
    ],
)
def test_what_is_wrong_is_told_by_line(tmp_path, text, message) -> None:
    file = tmp_path / "serving.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_serving(file, {})


def test_a_missing_file_is_told(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no file"):
        load_serving(tmp_path / "none.yaml", {})
