"""The catalog: what all runs say in few words, a cache that never lies."""

import os
import random
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.backends.storage import FolderStorage
from artstore.domain.codec import decode, encode_rows
from artstore.domain.digest import plain_digest
from artstore.operations.finding.catalog import Catalog, decoded_run
from tests.support.artifacts import draft, log
from tests.support.runs import record, root
from tests.support.together import script


def catalog() -> Catalog:
    return opened(root()).catalog()


def told(found: Catalog) -> Any:
    """All that a catalog says: runs, links, and who used and made each version."""
    count, listed = found.latest_runs("runs")
    runs = [(row.path, row.started, row.name, row.finished) for row in listed]
    assert len(runs) == count
    states = [opened(root()).runs.read_folder(folder) for folder in opened(root()).runs.paths()]
    ids = sorted({id for state in states for id in (*state.used, *state.logged)})
    edges = {
        (verb, id): [decoded_run(row).path for row in found.rows_with(verb, id)]
        for id in ids for verb in ("used", "logged")
    }  # fmt: skip
    return runs, sorted(found.links), edges, {id: [decoded_run(row).path for row in found.users_of(id)] for id in ids}


def naive() -> Any:
    """The same, from every log as it is."""
    repository = opened(root())
    states = [repository.runs.read_folder(folder, checkpoints=False) for folder in repository.runs.paths()]
    there = sorted((s for s in states if s.deleted is None), key=lambda s: (s.started, s.path.folder), reverse=True)
    links = [
        (version["id"], *state.path, version["number"])
        for state in map(repository.refs.read_folder, repository.refs.paths()) if state.exists
        for version in state.live() if "source" in version
    ]  # fmt: skip
    ids = sorted({id for state in states for id in (*state.used, *state.logged)})
    edges = {
        (verb, id): [str(state.path) for state in states if id in getattr(state, verb)]
        for id in ids for verb in ("used", "logged")
    }  # fmt: skip
    users = {
        id: [str(s.path) for s in sorted(there, key=lambda s: (s.started, str(s.path)), reverse=True) if id in s.used]
        for id in ids
    }
    return [(str(s.path), s.started, s.name, s.finished) for s in there], sorted(links), edges, users


def aged() -> None:
    """As if all was written long ago: then the catalog trusts the times of folders."""
    for where, folders, _ in os.walk(".artifacts"):
        for name in folders:
            path = Path(where, name)
            then = path.stat().st_mtime_ns - 3_600_000_000_000
            os.utime(path, ns=(then, then))


def test_the_catalog_says_what_all_logs_say_after_any_history(here: Path, tmp_path: Path) -> None:
    chance = random.Random(7)
    names: list[str] = []
    for turn in range(45):
        action = chance.choice(
            ["run", "run", "resume", "use", "delete run", "delete version", "link", "cache", "age", "rename"]
        )
        if action == "run" or not names:
            with wandb.init(id=f"r{turn}", project=chance.choice("pq"), name=f"n{turn}") as run:
                run.log_artifact(draft(f"a{turn % 5}", str(turn)))
                names.append(f"{run.project}/a{turn % 5}")
        elif action == "resume":
            found = chance.choice([*wandb.Api().runs("p"), *wandb.Api().runs("q")] or [None])
            if found is not None:
                wandb.init(id=found.id, project=found.project, tags=[str(turn)]).finish(turn % 2)
        elif action == "use":
            with wandb.init(project="p") as run:
                for name in chance.sample(names, min(3, len(names))):
                    if wandb.Api().artifact_exists(name):
                        run.use_artifact(name)
        elif action == "delete run":
            for found in [*wandb.Api().runs("p")][:1]:
                found.delete()
        elif action == "delete version":
            name = chance.choice(names)
            if wandb.Api().artifact_exists(name):
                try:
                    wandb.Api().artifact(name).delete(delete_aliases=True)
                except ValueError:
                    pass  # a link holds it
        elif action == "link":
            name = chance.choice(names)
            if wandb.Api().artifact_exists(name):
                wandb.Api().artifact(name).link(f"registry-x/l-{name.replace('/', '-')}")
        elif action == "rename":
            name = chance.choice(names)
            if wandb.Api().artifact_collection_exists(name):
                opened(root()).rename(name, f"renamed-{turn}")
        elif action == "cache":
            for file in Path(".artifacts/cache").glob("*.catalog"):
                file.write_bytes(chance.choice([b"", b"x" * 100, file.read_bytes()[:-1], file.read_bytes()[7:]]))
                if chance.random() < 0.5:
                    file.unlink()
        else:
            aged()
        assert told(catalog()) == naive(), action


def test_answers_are_the_same_when_the_cache_is_deleted_or_corrupt(here: Path) -> None:
    data = log(draft())
    with wandb.init(id="r") as run:
        run.use_artifact("data:latest")
    aged()
    expected = told(catalog())
    assert [run.id for run in data.used_by()] == ["r"]
    file = Path(".artifacts/cache/runs.catalog")
    whole = file.read_bytes()
    rubbish = b"\x93\x01\x02\x03"
    for content in (
        b"",
        b"x",
        whole[:-1],
        whole[1:],
        b"\0" * 5000,
        whole[:40] + b"!" + whole[41:],
        rubbish + plain_digest(rubbish),
    ):
        file.write_bytes(content)
        assert told(catalog()) == expected
        assert [run.id for run in data.used_by()] == ["r"]
    file.unlink()
    assert told(catalog()) == expected
    for path in Path(".artifacts/cache").rglob("*"):
        if path.is_file():
            path.unlink()
    assert told(catalog()) == expected


def test_a_cache_of_another_artstore_is_ignored(here: Path) -> None:
    """It is whole, its digest is right, but its rows are others."""
    log(draft())
    aged()
    expected = told(catalog())
    file = Path(".artifacts/cache/runs.catalog")
    shape, folders, stamps, keys, (row,) = decode(file.read_bytes()[:-32], "it", rows=True, own=True)
    fields = decode(row, "it", rows=True)
    others = [
        encode_rows(other) for other in ((*fields, "one more"), fields[:-1], (), 5, "text", (*fields[:-1], ((1, 2),)))
    ]
    tables: list[Any] = [("run,edge", folders, stamps, keys, [other]) for other in others]
    tables += [
        5,
        (),
        (folders, stamps, keys, [row]),
        (shape, folders, stamps, keys),
        (shape, folders, stamps, keys, [row], 1),
    ]
    tables += [
        (shape, folders, b"", keys, [row]),
        (shape, folders, stamps[:-1], keys, [row]),
        (shape, folders, stamps, keys, [row, row]),
        (shape, folders, stamps, keys, []),
    ]
    for table in tables:
        body = encode_rows(table)
        file.write_bytes(body + plain_digest(body))
        assert told(catalog()) == expected, table


def test_a_run_of_another_process_is_seen_at_once(here: Path) -> None:
    log(draft(), project="uncategorized")
    for n in range(3):
        before = catalog().latest_runs("runs")[0]
        script(f"with artstore.init(id='r{n}') as run: run.use_artifact('data')")
        assert catalog().latest_runs("runs")[0] == before + 1
        assert [run.id for run in wandb.Api().artifact("data").used_by()] == [f"r{i}" for i in range(n, -1, -1)]
        aged()
        script(f"artstore.init(id='r{n}', name='again').finish()")
        assert next(row for row in catalog().latest_runs("runs")[1] if row.id == f"r{n}").name == "again"


def test_reading_an_unchanged_catalog_opens_no_log(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(10):
        record(f"r{n}", [])
    aged()
    expected = told(catalog())
    read: list[str] = []
    original = FolderStorage.read
    monkeypatch.setattr(
        FolderStorage,
        "read",
        lambda self, path, *more, **how: (read.append(path), original(self, path, *more, **how))[1],
    )
    count, listed = catalog().latest_runs("runs")
    assert [row.path for row in listed] == [row[0] for row in expected[0]] and count == 10
    assert [path for path in read if path.startswith("runs/")] == []
