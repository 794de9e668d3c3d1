from __future__ import annotations

from pathlib import Path

import pytest
from support.served import write_snapshot

from halyard.errors import ConfigError, HalyardError
from serving import aliases as module
from serving.aliases import Aliases, draw
from serving.catalogue import Catalogue, Snapshot
from serving.errors import Refusal

OPS = {"who": "ops", "why": "because"}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for version in ("01-a", "02-b", "03-c"):
        write_snapshot(tmp_path / "run", version)
    return tmp_path / "run"


@pytest.fixture
def catalogue(run) -> Catalogue:
    catalogue = Catalogue([run])
    catalogue.scan()
    return catalogue


@pytest.fixture
def table(tmp_path, catalogue):
    table = Aliases(tmp_path / "state", catalogue)
    yield table
    table.close()


def version(catalogue: Catalogue, name: str) -> Snapshot:
    found = catalogue.get(f"run@{name}")
    assert found is not None
    return found


def test_promotion_and_rollback_go_through_the_versions_before(table, catalogue) -> None:
    for name in ("01-a", "02-b", "03-c"):
        table.promote(version(catalogue, name), "stable", 1.0, **OPS)
    seen = [table.rollback("run@stable", **OPS).shares for _ in range(2)]
    assert seen == [{"02-b": 1.0}, {"01-a": 1.0}]
    with pytest.raises(Refusal, match="nothing before 01-a"):
        table.rollback("run@stable", **OPS)
    history = [(change.verb, change.who, change.why) for change in table.get("run@stable").changes]
    assert history == [("promote", "ops", "because")] * 3 + [("rollback", "ops", "because")] * 2


def test_a_canary_takes_its_share_and_ends_by_rollback_or_promotion(table, catalogue) -> None:
    with pytest.raises(Refusal, match="cannot be a canary"):
        table.promote(version(catalogue, "02-b"), "stable", 0.1, **OPS)
    table.promote(version(catalogue, "01-a"), "stable", 1.0, **OPS)
    canary = table.promote(version(catalogue, "02-b"), "stable", 0.1, **OPS)
    assert canary.shares == {"01-a": 0.9, "02-b": 0.1}
    drawn = [canary.version(draw(f"user-{number}")) for number in range(4000)]
    # A tenth of 4,000 with a standard deviation of 19.
    assert abs(drawn.count("02-b") - 400) < 80
    assert [canary.version(draw("ann")) for _ in range(5)] == [canary.version(draw("ann"))] * 5
    assert table.rollback("run@stable", **OPS).shares == {"01-a": 1.0}
    table.promote(version(catalogue, "02-b"), "stable", 0.1, **OPS)
    assert table.promote(version(catalogue, "02-b"), "stable", 1.0, **OPS).shares == {"02-b": 1.0}
    assert table.rollback("run@stable", **OPS).shares == {"01-a": 1.0}


def test_latest_follows_its_run_until_it_is_pinned(table, catalogue, run) -> None:
    assert table.get("run@latest").shares == {"03-c": 1.0}
    with pytest.raises(Refusal, match="follows its run"):
        table.promote(version(catalogue, "01-a"), "latest", 1.0, **OPS)
    with pytest.raises(Refusal, match="nothing to roll back to"):
        table.rollback("run@latest", **OPS)
    table.pin(version(catalogue, "01-a"), "latest", **OPS)
    write_snapshot(run, "04-d")
    catalogue.scan()
    assert table.get("run@latest").shares == {"01-a": 1.0}
    assert table.unpin("run@latest", **OPS).shares == {"04-d": 1.0}


def test_a_pinned_alias_is_not_promoted(table, catalogue) -> None:
    table.pin(version(catalogue, "01-a"), "stable", **OPS)
    with pytest.raises(Refusal, match="pinned to 01-a"):
        table.promote(version(catalogue, "02-b"), "stable", 1.0, **OPS)
    table.unpin("run@stable", **OPS)
    table.promote(version(catalogue, "02-b"), "stable", 1.0, **OPS)


def test_named_aliases_are_set_and_deleted(table) -> None:
    made = table.put("run@demo", {"01-a": 0.5, "02-b": 0.5}, **OPS)
    assert made.shares == {"01-a": 0.5, "02-b": 0.5}
    assert "run@demo" in [alias.id for alias in table.all()]
    table.delete("run@demo")
    assert table.get("run@demo") is None
    with pytest.raises(Refusal) as refused:
        table.delete("run@demo")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("name", "shares", "status"),
    [
        ("run@demo", {"01-a": 0.5}, 400),
        ("run@demo", {"09-x": 1.0}, 404),
        ("run@01-a", {"02-b": 1.0}, 409),
        ("run@latest", {"02-b": 1.0}, 409),
        ("other@demo", {"02-b": 1.0}, 404),
        ("run@../x", {"02-b": 1.0}, 404),
        ("run", {"02-b": 1.0}, 404),
    ],
)
def test_what_cannot_be_set_is_refused(table, name, shares, status) -> None:
    with pytest.raises(Refusal) as refused:
        table.put(name, shares, **OPS)
    assert refused.value.status == status


def test_the_table_survives_the_service(tmp_path, catalogue) -> None:
    first = Aliases(tmp_path / "state", catalogue)
    first.promote(version(catalogue, "01-a"), "stable", 1.0, **OPS)
    first.promote(version(catalogue, "02-b"), "stable", 0.25, **OPS)
    before = first.get("run@stable")
    first.close()
    second = Aliases(tmp_path / "state", catalogue)
    assert second.get("run@stable") == before
    second.close()


def test_a_change_that_cannot_be_written_did_not_happen(table, catalogue, monkeypatch) -> None:
    table.promote(version(catalogue, "01-a"), "stable", 1.0, **OPS)

    def full(path: Path, text: str) -> None:
        raise HalyardError("the disk is full")

    monkeypatch.setattr(module, "write_text", full)
    with pytest.raises(HalyardError, match="full"):
        table.promote(version(catalogue, "02-b"), "stable", 1.0, **OPS)
    with pytest.raises(HalyardError, match="full"):
        table.put("run@demo", {"01-a": 1.0}, **OPS)
    assert table.get("run@stable").shares == {"01-a": 1.0}
    assert table.get("run@demo") is None


def test_one_service_at_a_time_holds_a_table(tmp_path, table, catalogue) -> None:
    with pytest.raises(ConfigError, match="another service"):
        Aliases(tmp_path / "state", catalogue)


def test_a_damaged_table_is_told(tmp_path, catalogue) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "aliases.json").write_text('{"aliases": [{"run": 1}]}')
    with pytest.raises(ConfigError, match="damaged"):
        Aliases(tmp_path / "other", catalogue)
