"""Adapters among the snapshots that are served: found with their base, refused with a reason, taken beside requests."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.adapters import write_adapter
from support.served import HeldEngine, Sound, snapshot
from typer.testing import CliRunner

from configs.cluster import EngineConfig
from configs.serving import ServingConfig
from halyard.cli.main import app
from halyard.errors import SnapshotError
from model.build import build
from model.snapshot import read_manifest, write_manifest
from serving.catalogue import Catalogue
from serving.pool import Pool


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("policy") / "nano"
    build("nano", folder, seed=0)
    return folder


@pytest.fixture
def run(policy: Path, tmp_path: Path) -> Path:
    """A run with one whole snapshot, 01-a."""
    folder = tmp_path / "mine" / "snapshots" / "01-a"
    folder.mkdir(parents=True)
    for file in policy.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    write_manifest(folder, version="01-a", parent=None, lineage={})
    (tmp_path / "mine" / "recipe.json").write_text("{}")
    return tmp_path / "mine"


def adapter(run: Path, version: str, base: str, **lineage: str) -> Path:
    """An adapter with a manifest, whose configuration calls its base by some name."""
    folder = run / "snapshots" / version
    write_adapter(folder, run / "snapshots" / "01-a", base_model_name_or_path=base)
    write_manifest(folder, version=version, parent="01-a", lineage=lineage)
    return folder


def scanned(run: Path) -> Catalogue:
    catalogue = Catalogue([run])
    catalogue.scan()
    return catalogue


@pytest.mark.parametrize("name", ["01-a", "mine@01-a", "../01-a", "absolute"])
def test_a_base_is_named_by_version_by_name_or_by_path(run: Path, name: str) -> None:
    adapter(run, "02-b", str(run / "snapshots" / "01-a") if name == "absolute" else name)
    catalogue = scanned(run)
    found, base = catalogue.get("mine@02-b"), catalogue.get("mine@01-a")
    assert found is not None
    assert base is not None
    assert (found.base, found.weights, base.weights) == (base, base, base)
    assert base.adapted
    assert not found.adapted
    assert catalogue.problems == {}
    catalogue.verify(found)


@pytest.mark.parametrize(
    ("base", "lineage", "message"),
    [
        ("elsewhere@07-x", {}, "is an adapter over elsewhere@07-x, which is not served here: serve its run, too"),
        ("", {}, "is an adapter that names no base"),
        ("01-a", {"base_digest": "0" * 64}, "over mine@01-a, which is another policy than the one it was made over"),
        ("02-b", {}, "over mine@02-b, which is an adapter itself"),
    ],
)
def test_an_adapter_without_its_base_is_told_and_left_out(run, base, lineage, message) -> None:
    adapter(run, "02-b", "01-a")
    folder = adapter(run, "03-c", base, **lineage)
    catalogue = scanned(run)
    assert catalogue.get("mine@03-c") is None
    assert message in catalogue.problems[folder]
    assert catalogue.get("mine@02-b") is not None


def test_an_adapter_is_refused_where_it_or_its_base_is_damaged_or_does_not_fit(run: Path) -> None:
    write_adapter(run / "snapshots" / "02-b", run / "snapshots" / "01-a", base_model_name_or_path="01-a", use_dora=True)
    write_manifest(run / "snapshots" / "02-b", version="02-b", parent="01-a", lineage={})
    adapter(run, "03-c", "01-a")
    catalogue = scanned(run)
    dora, sound = catalogue.get("mine@02-b"), catalogue.get("mine@03-c")
    assert dora is not None
    assert sound is not None
    with pytest.raises(SnapshotError, match="use_dora is true"):
        catalogue.verify(dora)
    (run / "snapshots" / "01-a" / "config.json").write_text("{}")
    with pytest.raises(SnapshotError, match="01-a is damaged"):
        catalogue.verify(sound)


def test_what_an_adapter_goes_over_is_part_of_its_digest(run: Path) -> None:
    """Two of the same files over bases that differ are two policies."""
    first = scanned(adapter(run, "02-b", "01-a").parent.parent).get("mine@02-b")
    base = run / "snapshots" / "01-a"
    (base / "config.json").write_text((base / "config.json").read_text() + " ")
    write_manifest(base, version="01-a", parent=None, lineage={})
    second = scanned(run).get("mine@02-b")
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def test_adopt_makes_a_snapshot_of_what_peft_wrote(run: Path, tmp_path: Path) -> None:
    base, out = run / "snapshots" / "01-a", run / "snapshots" / "02-b"
    made = write_adapter(tmp_path / "peft", base, rank=8)
    done = CliRunner().invoke(app, ["snapshot", "adopt", str(made), "--base", str(base), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert re.search(r"an adapter of rank 8 over \d+ layers of mine@01-a\n", done.stdout)
    manifest = read_manifest(out)
    assert (manifest.parent, manifest.lineage["base"]) == ("01-a", "mine@01-a")
    found = scanned(run).get("mine@02-b")
    assert found is not None
    assert found.weights.version == "01-a"


def test_adopt_names_a_base_by_its_run_from_wherever_it_is_called(run: Path, tmp_path: Path, monkeypatch) -> None:
    """Of a run it takes the newest whole policy: 02-b is an adapter itself."""
    adapter(run, "02-b", "01-a")
    made = write_adapter(tmp_path / "peft", run / "snapshots" / "01-a")
    monkeypatch.chdir(run)
    done = CliRunner().invoke(app, ["snapshot", "adopt", str(made), "--base", ".", "-o", "snapshots/03-c"])
    assert done.exit_code == 0, done.output
    assert read_manifest(run / "snapshots" / "03-c").lineage["base"] == "mine@01-a"


def test_adopt_refuses_what_does_not_fit_and_writes_nothing(run: Path, tmp_path: Path) -> None:
    base, out = run / "snapshots" / "01-a", run / "snapshots" / "02-b"
    made = write_adapter(tmp_path / "peft", base)
    config = json.loads((made / "adapter_config.json").read_text())
    (made / "adapter_config.json").write_text(json.dumps(config | {"r": 2}))
    done = CliRunner().invoke(app, ["snapshot", "adopt", str(made), "--base", str(base), "-o", str(out)])
    assert done.exit_code == 2
    assert "says r: 2" in done.output
    assert not out.exists()


BASE = snapshot("a")
ADAPTER, NEXT = (replace(snapshot(version), base=BASE) for version in ("b", "c"))


async def test_an_adapter_is_taken_while_its_base_answers() -> None:
    engine = HeldEngine()
    pool = Pool([engine], Sound(), ServingConfig(engine=EngineConfig(max_num_seqs=4), dwell_seconds=60))
    pool.start()
    async with asyncio.timeout(5), pool.lease(BASE, 1), pool.lease(ADAPTER, 1) as slot, pool.lease(NEXT, 1):
        assert (slot.in_flight, engine.snapshot, engine.taken) == (3, BASE, ["a", "b", "c"])
        async with pool.lease(ADAPTER, 1):
            assert engine.taken == ["a", "b", "c"]
    await pool.close()


async def test_an_engine_without_room_beside_answers_first_what_is_in_flight() -> None:
    engine = HeldEngine()
    engine.room = 1
    pool = Pool([engine], Sound(), ServingConfig(engine=EngineConfig(max_num_seqs=4), dwell_seconds=0))
    pool.start()
    async with asyncio.timeout(5):
        async with pool.lease(ADAPTER, 1):
            late = asyncio.create_task(pool.warm(NEXT))
            await asyncio.sleep(0.1)
            assert engine.taken == ["b"]
        await late
    assert engine.taken == ["b", "c"]
    await pool.close()


async def test_a_damaged_adapter_leaves_its_base_alone() -> None:
    engine = HeldEngine()
    pool = Pool([engine], Sound("b"), ServingConfig(engine=EngineConfig(max_num_seqs=4)))
    pool.start()
    async with asyncio.timeout(5), pool.lease(BASE, 1):
        with pytest.raises(Exception, match="b is damaged"):
            await pool.warm(ADAPTER)
        async with pool.lease(BASE, 1):
            assert engine.taken == ["a"]
    await pool.close()
