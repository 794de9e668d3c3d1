from __future__ import annotations

import sys

import pytest

from halyard.cluster.origin import ROOT, check_origin
from halyard.errors import ConfigError


def test_our_own_packages_pass():
    check_origin()


def test_a_foreign_package_is_named(tmp_path, monkeypatch):
    (tmp_path / "rl.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "rl", raising=False)
    with pytest.raises(ConfigError, match=rf"{tmp_path}/rl\.py hides .*'rl', which is in {ROOT}/rl"):
        check_origin()
