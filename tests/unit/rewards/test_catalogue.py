"""What is listed, and how rewards are found by name, in files, and in installed packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from configs.rewards import RewardTerm
from configs.rubric import shipped
from halyard.errors import ConfigError
from rewards.catalogue import SHIPPED, entries, entry, find
from rewards.functions import load_term
from rewards.sample import Sample

PLUGIN = '''
from halyard import Sample, Verdict, reward

@reward
def polite(sample: Sample, word: str = "please") -> Verdict:
    """1 if the response says a word.

    It may say more.

    Args:
        word: What is looked for,
            in any case.
    """
    return Verdict(reward=float(word in sample.response), components={"words": 2.0}, reason=f"looked for {word}")

@reward(batch=True)
def ranks(samples): return list(range(len(samples)))
'''
ENTRY_POINTS = """
[halyard.rewards]
polite = acme_rewards:polite
exact = acme_rewards:ranks
gone = acme_rewards:no_such
"""
SAMPLE = Sample(prompt="", response="5 please", answer="", reference=None, task="open", thinking=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package as an installer leaves it, that can be imported from."""
    (tmp_path / "acme_rewards.py").write_text(PLUGIN)
    info = tmp_path / "acme_rewards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rewards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_everything_that_ships_can_be_used_and_is_described() -> None:
    ships = [one for one in entries() if not one.where.startswith("package")]
    assert [one.name for one in ships] == sorted({*SHIPPED, *shipped()})
    assert [one.name for one in ships if one.fault or not one.summary] == []
    undescribed = [f"{one.name}: {p.name}" for one in ships for p in one.parameters if not p.doc or not p.type]
    assert undescribed == []


@pytest.mark.usefixtures("site")
def test_a_package_ships_a_reward() -> None:
    found = entry("polite")
    assert (found.where, found.form, found.fault) == ("package acme-rewards", "single", "")
    assert found.summary == "1 if the response says a word."
    (parameter,) = found.parameters
    assert (parameter.name, parameter.type, parameter.default) == ("word", "text", "please")
    assert parameter.doc == "What is looked for, in any case."
    assert [one.name for one in entries() if one.where == "package acme-rewards"] == [
        "acme-rewards:exact",
        "gone",
        "polite",
    ]
    loaded = load_term(RewardTerm(name="polite", parameters={"word": "5"}), Path())
    assert loaded.function(SAMPLE).reward == 1.0


@pytest.mark.usefixtures("site")
def test_what_ships_keeps_its_name() -> None:
    assert find("exact").whose == "shipped"
    assert find("acme-rewards:exact").function == "ranks"
    assert entry("acme-rewards:exact").form == "batch"


@pytest.mark.usefixtures("site")
def test_a_broken_package_is_listed_with_its_fault() -> None:
    assert entry("gone").fault == "acme_rewards: no_such is no reward"


def test_rewards_are_found_in_files_and_modules(site: Path) -> None:
    (site / "one.py").write_text("from halyard import reward\n@reward\ndef only(sample): return 1.0\n")
    (site / "none.py").write_text("x = 1\n")
    assert find("one.py", site).function == "only"
    assert find("acme_rewards.py:polite", site).whose == "file acme_rewards.py"
    assert find("acme_rewards:polite").path == "acme_rewards"
    with pytest.raises(ConfigError, match=r"as acme_rewards\.py:FUNCTION: the file has polite, ranks"):
        find("acme_rewards.py", site)
    with pytest.raises(ConfigError, match="the file has no reward"):
        find("none.py", site)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("exakt", "there is no reward of this name; did you mean exact?"),
        ("thinkin", "did you mean thinking?"),
        ("zzzzzzz", "there is no reward of this name. `halyard reward list` shows all"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        find(name)
    assert said in str(refusal.value)


def test_two_packages_with_one_name_are_told_apart(site: Path) -> None:
    info = site / "bolt-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bolt\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[halyard.rewards]\npolite = acme_rewards:ranks\n")
    with pytest.raises(ConfigError, match="write one of acme-rewards:polite, bolt:polite"):
        find("polite")
    assert find("bolt:polite").function == "ranks"
