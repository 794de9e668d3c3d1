from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.served import write_score, write_snapshot

from halyard.errors import ConfigError, SnapshotError
from serving.catalogue import Catalogue, split_name


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = tmp_path / "quick"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    return run


def test_new_snapshots_of_a_run_appear_and_latest_leads_to_the_newest_policy(run) -> None:
    catalogue = Catalogue([run])
    assert catalogue.scan() == []
    assert catalogue.computed("quick", "latest") is None

    write_snapshot(run, "01-sft")
    assert [one.id for one in catalogue.scan()] == ["quick@01-sft"]
    write_snapshot(run, "02-rl")
    write_snapshot(run, "03-judge", role="judge")
    assert [one.version for one in catalogue.scan()] == ["02-rl", "03-judge"]
    assert catalogue.scan() == []
    latest = catalogue.computed("quick", "latest")
    assert latest is not None
    assert latest.id == "quick@02-rl"


def test_best_has_the_highest_mean_over_whole_benchmarks(run) -> None:
    for version in ("01-a", "02-b", "03-c"):
        write_snapshot(run, version)
    write_score(run, "01-x", "01-a", 0.9, 0.1)
    write_score(run, "02-x", "02-b", 0.6, 0.5)
    catalogue = Catalogue([run])
    catalogue.scan()
    best = catalogue.computed("quick", "best")
    assert best is not None
    assert (best.version, best.score) == ("02-b", pytest.approx(0.55))


def test_a_snapshot_that_was_measured_since_is_still_the_same(run) -> None:
    """Otherwise the engine that holds it would be given the same weights again."""
    write_snapshot(run, "01-a")
    catalogue = Catalogue([run])
    (held,) = catalogue.scan()
    write_score(run, "01-x", "01-a", 0.5)
    catalogue.scan()
    found = catalogue.get("quick@01-a")
    assert found is not None
    assert (held.score, found.score) == (None, 0.5)
    assert found == held


def test_a_snapshot_that_was_deleted_is_known_to_have_gone(run) -> None:
    folder = write_snapshot(run, "01-a")
    catalogue = Catalogue([run])
    catalogue.scan()
    for file in folder.iterdir():
        file.unlink()
    catalogue.scan()
    assert catalogue.get("quick@01-a") is None
    assert catalogue.was_there("quick@01-a")
    assert not catalogue.was_there("quick@01-b")


def test_what_cannot_be_read_is_told_and_left_out(run) -> None:
    write_snapshot(run, "01-a")
    broken = run / "snapshots" / "02-b"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    reserved = write_snapshot(run, "latest")
    catalogue = Catalogue([run])
    assert [one.version for one in catalogue.scan()] == ["01-a"]
    assert "cannot be read" in catalogue.problems[broken]
    assert "cannot be served" in catalogue.problems[reserved]


def test_a_name_stands_for_the_same_weights_for_ever(run, tmp_path) -> None:
    write_snapshot(run, "01-a", content="one")
    other = write_snapshot(tmp_path / "copies" / "quick", "01-a", content="two")
    catalogue = Catalogue([run, other])
    (found,) = catalogue.scan()
    assert found.path == run / "snapshots" / "01-a"
    assert "a name stands for the same weights" in catalogue.problems[other]


def test_files_are_verified_and_again_when_they_change(run) -> None:
    folder = write_snapshot(run, "01-a", content="right")
    catalogue = Catalogue([run])
    (found,) = catalogue.scan()
    catalogue.verify(found)
    (folder / "model.safetensors").write_text("wrong")
    with pytest.raises(SnapshotError, match=r"damaged: model\.safetensors"):
        catalogue.verify(found)


def test_a_snapshot_replaced_under_its_name_is_refused(run) -> None:
    folder = write_snapshot(run, "01-a", content="one")
    catalogue = Catalogue([run])
    (found,) = catalogue.scan()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "extra.txt").write_text("x")
    import hashlib

    manifest["files"]["extra.txt"] = hashlib.sha256(b"x").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SnapshotError, match="replaced"):
        catalogue.verify(found)


def test_a_single_snapshot_is_served_under_the_name_of_its_run(run) -> None:
    folder = write_snapshot(run, "01-a")
    catalogue = Catalogue([folder])
    (found,) = catalogue.scan()
    assert found.id == "quick@01-a"
    assert catalogue.run_folders == {}


@pytest.mark.parametrize("name", ["nowhere", "other"])
def test_other_folders_are_refused(tmp_path, name) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"no folder|neither a run nor a snapshot"):
        Catalogue([tmp_path / name])


def test_two_runs_of_one_name_are_refused(run, tmp_path) -> None:
    other = tmp_path / "elsewhere" / "quick"
    (other / "snapshots").mkdir(parents=True)
    with pytest.raises(ConfigError, match="two runs have one name"):
        Catalogue([run, other])


@pytest.mark.parametrize("name", ["", "quick", "quick@", "@x", "a@b@c", "../x@y", "a@..", "a@b\r\nx", "a@" + "b" * 101])
def test_names_have_one_form(name) -> None:
    assert split_name(name) is None
    assert split_name("quick-001@04-verifiable-rl") == ("quick-001", "04-verifiable-rl")
