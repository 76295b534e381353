"""Logs that name projects which a token may not see: they are told without these, and still are logs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.roles import Role
from artstore.domain.run import RunPath, RunState
from artstore.domain.run import fold as fold_run
from artstore.repository import Repository
from artstore.store.logs import decode_entry, rewritten
from tests.support.folders import make_tree
from tests.support.served import Asking, Server, serving

RUN = "runs/local/vision/train"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A repository in which project vision uses, links to and takes files from the secret project, and is used there."""
    folder = tmp_path_factory.mktemp("partial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("WANDB_CONSOLE", "off")
        with Repository.init(str(folder / ".artifacts")) as repository:
            for name in ("secret/data", "secret/moved", "vision/data"):
                repository.put(str(make_tree(folder / name, {"f": name})), name, type="dataset")
            repository.rename("secret/moved", "vision/renamed")
            repository.link(repository.find("secret/data"), "vision/linked")
        for id, project in (("train", "vision"), ("hidden-run", "secret")):
            with wandb.init(id=id, project=project) as run:
                run.use_artifact("secret/data:v0")
                run.use_artifact("vision/data:v0")
                made = wandb.Artifact(f"made-by-{id}", "model")
                made.add_reference(wandb.Api().artifact("secret/data:v0").get_entry("f").ref_url())
                (folder / "file").write_text(id)
                made.add_file("file")
                run.log_artifact(made)
        with Repository(str(folder / ".artifacts")) as repository:
            repository.copy("secret/made-by-hidden-run", "vision/copied")
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="module")
def reader(server: Server) -> Asking:
    return server.token("reader", Role.READER, "local/vision")


def _everything(asker: Asking) -> Iterator[Any]:
    """All that an asker may get that isn't the bytes of a file."""
    _, heads = asker.post("/heads", under=["refs", "runs"])
    for path in ("/collections", "/runs"):
        yield asker.post(path)
    for folder, _ in heads[:-1]:
        yield asker.post("/entries", logs=[[folder, 1, None]])
        if "/vision/" in folder:  # else the answer repeats what was asked for
            yield asker.post("/log", folder=folder)
            yield asker.post("/history", run=folder)
    yield heads


def test_nothing_that_a_reader_gets_names_a_project_that_they_may_not_see(reader: Asking) -> None:
    told = [json.dumps(one, default=repr) for one in _everything(reader)]
    assert len(told) > 15 and any("made-by-train" in one for one in told)
    named = [one for one in told if "secret" in one or "hidden-run" in one]
    moved = [one for one in named if "moved from" in one or "moved to" in one or "secret/moved" in one]
    assert named == moved, "only the former name of a collection that is in their project now"


def test_a_log_that_is_told_in_part_is_a_log(server: Server, reader: Asking) -> None:
    data = reader.entries(RUN)
    admin = server.token("admin", Role.ADMIN)
    assert len(data) == len(admin.entries(RUN)) and data != admin.entries(RUN)
    state, prev = RunState(RunPath("", "", "")), None
    for number, one in enumerate(data, 1):
        entry = decode_entry(one, number, "entry")
        assert entry.prev == prev
        prev = entry.digest
        fold_run(state, entry)
    assert [edge["name"] for edge in state.used.values()] == ["data"] and len(state.logged) == 1
    assert data == reader.entries(RUN), "it is the same each time"
    assert reader.post("/entries", logs=[[RUN, 3, 4]])[1][:-1] == [[RUN, n, data[n - 1]] for n in (3, 4)]


def test_a_link_to_what_may_not_be_seen_is_a_version_of_its_own(reader: Asking) -> None:
    _, found = reader.post("/collections", entity="local", project="vision", name="linked")
    version = found[0][0]["versions"][0]
    assert "source" not in version and version["files"] == 1
    change = next(c for c in json.loads(reader.entries("refs/local/vision/linked")[0])["changes"] if c.get("id"))
    assert change["kind"] == "version" and "source" not in change


def test_a_collection_that_was_renamed_from_elsewhere_is_read_whole(reader: Asking) -> None:
    _, heads = reader.post("/heads", under=["refs"])
    folders = [folder for folder, _ in heads[:-1]]
    assert "refs/local/vision/renamed" in folders and "refs/local/secret/moved" in folders
    assert "refs/local/secret/data" not in folders
    _, found = reader.post("/collections", entity="local", project="vision", name="renamed")
    assert len(found[0][0]["versions"]) == 1
    assert reader.post("/collections", entity="local", project="secret", name="moved") == (200, [["end"]])


def test_an_entry_continues_a_log_as_its_writer_reads_it(server: Server, tmp_path: Path) -> None:
    writer = server.token("writer", Role.WRITER, "local/vision")
    data = writer.entries("refs/local/vision/linked")
    tag = {"change": "0" * 32, "kind": "tags", "id": None, "add": ["seen"], "remove": []}
    last = decode_entry(data[-1], len(data), "entry")
    entry = rewritten(data[-1], number=len(data) + 1, prev=last.digest, changes=[tag], write="1" * 32)
    status, stored = writer.append(writer.begin(), "refs/local/vision/linked", len(data) + 1, entry)
    assert status == 201 and stored["author"] == "writer" and stored["prev"] == last.digest
    admin = server.token("admin2", Role.ADMIN)
    real = admin.entries("refs/local/vision/linked")
    assert json.loads(real[-1])["prev"] != last.digest, "the chain that is stored is another one"
    assert decode_entry(real[-1], len(real), "entry").prev == decode_entry(real[-2], len(real) - 1, "entry").digest
