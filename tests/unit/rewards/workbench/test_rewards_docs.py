"""What docs/rewards.md shows beside its tutorial (which tests/e2e runs) is so."""

from __future__ import annotations

import re
from pathlib import Path

from ruamel.yaml import YAML
from support.pages import DOCS, blocks
from typer.main import get_command

from configs.rewards import RewardsConfig
from halyard import testing
from halyard.cli.reward import app
from rewards.workbench.attacks import ATTACKS
from rewards.workbench.cases import read

PAGE = (DOCS / "rewards.md").read_text()


def table(heading: str) -> list[str]:
    """First cells of the table below a heading."""
    section = PAGE.split(f"# {heading}\n")[1].split("\n#")[0]
    return re.findall(r"^\| (.+?) \|", section, flags=re.M)[1:]


def test_every_attack_is_described() -> None:
    assert table("What a probe tries") == [attack.name for attack in ATTACKS]


def test_every_command_is_described() -> None:
    named = [cell.split()[2] for cell in table("The workbench")]
    assert named == list(get_command(app).commands)  # type: ignore[attr-defined]


def test_every_helper_is_described() -> None:
    assert sorted(cell.strip("`").partition("(")[0] for cell in table("Unit tests")) == sorted(testing.__all__)


def test_rewards_put_together_are_a_valid_part_of_a_recipe() -> None:
    shown = [block for block in blocks("rewards.md", "Putting rewards together") if block.language == "yaml"]
    parsed = [RewardsConfig.model_validate(YAML(typ="safe").load(block.text)["rewards"]) for block in shown]
    assert [term.type for config in parsed for term in config.terms] == ["product", "overlong", "reward", "gate"]


def test_the_case_is_one(tmp_path: Path) -> None:
    (shown,) = blocks("rewards.md", "The workbench")
    (tmp_path / "cases.jsonl").write_text(shown.text)
    (case,) = read(tmp_path / "cases.jsonl")
    assert (case.sample.reasoning, case.sample.answer, case.expected) == ("3 * 4 = 12.", r"\boxed{12}", True)
