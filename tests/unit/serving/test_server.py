from __future__ import annotations

import io
import json
import logging

import pytest

from halyard.errors import ConfigError
from serving.keys import Keys
from serving.logs import JsonFormatter
from serving.server import check_binding


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_keys(host) -> None:
    check_binding(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.5", "example.org", ""])
def test_other_addresses_do(host, tmp_path) -> None:
    with pytest.raises(ConfigError, match="--api-keys"):
        check_binding(host, None)
    (tmp_path / "keys").write_text("alice consume sk-0123456789abcdef\n")
    check_binding(host, Keys(tmp_path / "keys"))


def test_a_log_line_is_one_json_object_whatever_is_in_it() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    logger.info("a\nb %s", "\udcff", extra={"fields": {"path": '"\r\n'}})
    try:
        raise ValueError("x")
    except ValueError:
        logger.exception("failed")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["message"], first["path"], first["level"]) == ("a\nb \udcff", '"\r\n', "info")
    assert "ValueError: x" in second["traceback"]
