from __future__ import annotations

import re
from pathlib import Path

import pytest

from configs.serving import LimitsConfig, ServingConfig, load_serving

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"


@pytest.mark.parametrize("settings", [ServingConfig, LimitsConfig])
def test_every_setting_stands_in_the_docs_with_its_default(settings) -> None:
    rows = {row.split("`")[1]: row for row in PAGE.read_text().splitlines() if row.startswith("| `")}
    for name, field in settings.model_fields.items():
        assert name == "limits" or str(field.description) in rows[name]
        default = field.default
        if isinstance(default, int | float | str):
            shown = f"{default:g}" if isinstance(default, float) else default
            assert f"| `{shown}` |" in rows[name]


def test_the_settings_shown_are_valid(tmp_path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "serving.yaml").write_text(example)
    assert load_serving(tmp_path / "serving.yaml", {}).engine.count == 2
