"""Disk use: what versions take, and what the histories of runs take."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.operations.upkeep.usage import Usage
from artstore.repository import Repository
from tests.support.commands import Cli
from tests.support.runs import LOGS_AND_WAITS, folder, open_files, record, root

NOISE = random.Random(1)


def steps(number: int) -> list[dict[str, Any]]:
    return [{"x": NOISE.random()} for _ in range(number)]


def save() -> None:
    Path("a").write_bytes(b"x" * 1000)
    with Repository.init(root()) as repository:
        repository.put("a", "data")


def total(usage: Usage) -> int:
    return usage.stored_bytes + usage.history_bytes + usage.entry_bytes


def test_histories_of_runs_are_not_counted_as_if_versions_took_them(here: Path) -> None:
    save()
    before = opened(root()).usage()
    record("short", steps(3))
    record("packed", steps(3000))
    record("large", [{"text": "x" * 10_000}] * 200)
    usage = opened(root()).usage()
    assert (usage.versions, usage.version_bytes, usage.histories) == (1, 1000, 3) and usage.blobs >= 1
    assert 0 <= usage.stored_bytes - before.stored_bytes < 1000, "only what packs have around their objects"
    assert usage.history_bytes > 2_000_000 + 3000 * 60
    assert total(usage) == usage.pack_bytes + usage.blob_bytes + usage.log_bytes
    assert 0 < usage.entry_bytes < 50_000


def test_a_history_that_is_not_sealed_yet_is_none_of_the_logs(here: Path, started: Any) -> None:
    process = started(LOGS_AND_WAITS)
    process.line()
    usage, parts = opened(root()).usage(), open_files("r")
    assert (
        usage.histories == 1 and usage.history_bytes == sum(os.path.getsize(folder("r") / part) for part in parts) > 0
    )


def test_the_history_of_a_deleted_run_is_told_until_gc_frees_it(here: Path) -> None:
    record("gone", steps(3000))
    before = opened(root()).usage()
    wandb.Api().run("gone").delete()
    assert opened(root()).usage().history_bytes == before.history_bytes
    opened(root()).gc(now=True)
    assert opened(root()).usage().history_bytes == 0


def test_du_tells_versions_and_histories_apart_here_and_at_a_remote(cli: Cli, here: Path, tmp_path: Path) -> None:
    with wandb.init(id="train") as run:
        for row in steps(6_000):
            run.log(row)
        file = tmp_path / "model.bin"
        file.write_bytes(NOISE.randbytes(200_000))
        run.log_artifact(str(file), name="model")
    assert cli("remote", "add", "nas", str(tmp_path / "nas"), "--init", cwd=here).code == 0
    assert cli("push", "nas", cwd=here).code == 0
    for place in ((), ("nas",)):
        versions, runs = cli("du", *place, cwd=here).out.splitlines()[-2:]
        assert versions.startswith("1 version: 195.3 KiB of files stored in 19"), versions
        assert runs.startswith("1 run with histories or files: 5") and runs.endswith(" KiB"), runs


@pytest.mark.damaged
def test_du_goes_on_past_a_damaged_log_and_says_so(cli: Cli, here: Path) -> None:
    save()
    record("broken", steps(3))
    record("kept", steps(3))
    for path in folder("broken").iterdir():
        path.chmod(0o644)
        path.write_bytes(b"{")
    done = cli("du", cwd=here)
    assert done.code == 7 and "1 version: 1000 B of files" in done.out and "1 run with histories or files: " in done.out
    assert "broken" in done.err and done.err.endswith(
        "hint: everything listed is undamaged; `artstore fsck` shows details\n"
    )
