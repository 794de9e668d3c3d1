"""A service over the folder that runs lie in: started before the first of them, it serves each as it comes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from support.chats import wait_until
from support.served import HeldEngine, write_snapshot

from configs.serving import ServingConfig
from halyard.errors import ConfigError
from serving.catalogue import Catalogue
from serving.errors import Refusal
from serving.exchange import Exchange
from serving.runs import root_of
from serving.service import Service


def begun(root: Path, name: str, *, at: float = 0.0) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "recipe.json").write_text("{}")
    os.utime(folder, (at, at))
    return folder


def test_runs_that_come_are_served_and_the_newest_stands_first(tmp_path: Path) -> None:
    catalogue = Catalogue([tmp_path])
    assert catalogue.scan() == []
    assert (catalogue.runs, root_of(tmp_path)) == ([], tmp_path)
    begun(tmp_path, "old", at=1.0)
    begun(tmp_path, "new", at=2.0)
    begun(tmp_path, ".launches")
    catalogue.scan()
    assert catalogue.runs == ["new", "old"]
    write_snapshot(tmp_path / "old", "01-a")
    assert [one.id for one in catalogue.scan()] == ["old@01-a"]
    assert Catalogue([tmp_path]).scan()[0].id == "old@01-a"


def test_a_run_whose_name_cannot_be_served_is_told(tmp_path: Path) -> None:
    odd = begun(tmp_path, "my run")
    catalogue = Catalogue([tmp_path])
    catalogue.scan()
    assert "cannot be served under the name 'my run'" in catalogue.problems[odd]


def test_a_folder_of_other_things_is_not_taken_for_one_of_runs(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ConfigError, match="nor a folder of runs"):
        Catalogue([tmp_path])


async def test_a_service_is_ready_once_the_first_run_has_a_snapshot(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    service = Service([root], tmp_path / "state", [HeldEngine()], ServingConfig(scan_seconds=0.05))
    await service.start()
    try:
        assert (service.pool.ready, service.pool.slots[0].state()) == (False, "empty")
        with pytest.raises(Refusal, match="there is no run first here, and no other yet"):
            service.resolve("first@latest", Exchange("1", "POST", "/"))
        write_snapshot(begun(root, "first"), "01-a")
        await asyncio.to_thread(wait_until, lambda: service.pool.ready)
        assert service.resolve("first@latest", Exchange("2", "POST", "/")).snapshot.id == "first@01-a"
        assert service.runs.root == root
    finally:
        await service.close()
