"""Versions that several processes put together: nothing that a process was told is safe is lost, and one version comes out."""

import json
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import ArtifactFinalizedError, Conflict, InvalidValue, NotFound, StorageError
from artstore.repository import Repository
from artstore.store.transaction import Transaction
from tests.support.artifacts import again, draft, log, paths, write
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.together import content, in_threads
from tests.support.upserts import ID, finished, part, pending, repository, versions

# -- parts and the version that they make ----------------------------------------------------------------------------


def test_parts_become_one_version_when_they_are_finished(here: Path) -> None:
    made = part({"a": "1", "same": "s"})
    assert pending() == {ID: 1} and not wandb.Api().artifact_exists("data")
    part({"b": "2", "same": "s"})
    with pytest.raises(ArtifactFinalizedError):
        write(made, c="3")
    version = finished({"c": "3"})
    assert version.name == "data:v0"
    assert content(again("data")) == {"a": b"1", "b": b"2", "c": b"3", "same": b"s"}
    assert versions() == ["data:v0"] and pending() == {}


def test_an_empty_artifact_finishes_and_gives_metadata_description_and_aliases(here: Path) -> None:
    part({"a": "1"}, aliases=["not yet"])
    with wandb.init(group=ID, id="finisher") as run:
        done = run.finish_artifact(
            wandb.Artifact("data", description="all of it", metadata={"parts": 1}), aliases=["best", "latest"]
        )
        assert [one.name for one in run.logged_artifacts()] == ["data:v0"]
    assert (done.description, done.metadata) == ("all of it", {"parts": 1})
    assert sorted(again("data").aliases) == ["best", "latest"]
    assert again("data").logged_by().id == "finisher"
    assert content(again("data:best")) == {"a": b"1"}


def test_a_second_finish_changes_nothing(here: Path) -> None:
    part({"a": "1"})
    finished({"b": "2"})
    log_number = repository().collection("data").number
    assert finished().name == "data:v0"
    assert finished({"b": "2"}).name == "data:v0"
    assert versions() == ["data:v0"]
    assert repository().collection("data").number == log_number


def test_a_second_finish_changes_nothing_though_others_saved_meanwhile(here: Path) -> None:
    """As when the first one's reply was lost."""
    part({"a": "1"})
    finished({"b": "2"})
    log(draft("data", "another"))
    assert finished({"b": "2"}).name == "data:v0"
    assert versions() == ["data:v1", "data:v0"]


def test_what_is_added_after_a_finish_begins_the_next_version(here: Path) -> None:
    part({"a": "1"})
    finished()
    part({"b": "2"})
    assert pending() == {ID: 1} and versions() == ["data:v0"]
    assert paths(again("data")) == ["a"]
    assert finished().name == "data:v1"
    assert content(again("data")) == {"b": b"2"}


def test_the_parts_of_a_finish_that_had_to_be_taken_back_wait_for_the_next(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was acknowledged; that the last look failed, by which a save learns that nothing was collected, must not lose it."""
    part({"a": "1"}, id="one")
    part({"b": "2"}, id="two")
    before = repository().collection("data").upserts
    with monkeypatch.context() as patched:
        patched.setattr(Transaction, "ensure", failing)
        with pytest.raises(StorageError, match="no listing"):
            finished({"c": "3"})
    after = repository().collection("data").upserts
    assert [part | {"time": ""} for part in after[ID]] == [part | {"time": ""} for part in before[ID]]
    assert not versions() and repository().gc(now=True).problems == ()
    assert finished({"c": "3"}).name == "data:v1"
    assert content(again("data")) == {"a": b"1", "b": b"2", "c": b"3"} and pending() == {}


def test_a_part_that_is_added_again_is_stored_again_where_it_was_lost(here: Path) -> None:
    part({"a": "1" * 3000})
    for pack in (here / ".artifacts/objects/packs").iterdir():
        pack.unlink()
    assert repository().fsck().problems
    part({"a": "1" * 3000})
    assert not repository().fsck().problems and pending() == {ID: 1}
    assert content(finished()) == {"a": b"1" * 3000}


def failing(self: Transaction) -> None:
    raise StorageError("no listing of packs")


def test_the_same_part_twice_is_one_part(here: Path) -> None:
    part({"a": "1", "b": "2"})
    part({"a": "1", "b": "2"})
    assert pending() == {ID: 1}
    assert paths(finished()) == ["a", "b"]


def test_finish_of_what_nobody_began_is_an_error_that_names_what_there_is(here: Path) -> None:
    part({"a": "1"})
    with wandb.init() as run, pytest.raises(NotFound, match="no unfinished version 'job-8'"):
        run.finish_artifact(wandb.Artifact("data"), distributed_id="job-8")
    assert pending() == {ID: 1} and not wandb.Api().artifact_exists("data")
    finished()


def test_a_distributed_id_goes_before_the_group_and_without_either_it_is_a_type_error(here: Path) -> None:
    with wandb.init(group="group") as run:
        assert run.upsert_artifact(draft(), distributed_id="id").distributed_id == "id"
        assert run.upsert_artifact(draft(text="other")).distributed_id == "group"
    assert pending() == {"id": 1, "group": 1}
    with wandb.init() as run:
        for call in (run.upsert_artifact, run.finish_artifact):
            with pytest.raises(TypeError, match="in a group or distributed_id"):
                call(draft())
        assert content(run.finish_artifact(wandb.Artifact("data"), distributed_id="id")) == {"f": b"1"}
    assert pending() == {"group": 1}


def test_an_incremental_artifact_is_refused_as_a_part_and_as_the_last_one(here: Path) -> None:
    """It was ignored that it is incremental, but the latest version became the parent."""
    log(draft("data", text="0"))
    message = "an incremental artifact can't be built by several processes"
    with wandb.init(group=ID) as run:
        for call in (run.upsert_artifact, run.finish_artifact):
            with pytest.raises(InvalidValue, match=message) as error:
                call(write(wandb.Artifact("data", incremental=True), f="1"))
            assert error.value.hint == "make it without incremental=True, or log it by log_artifact()"
    with repository().draft() as begun, pytest.raises(InvalidValue, match=message):
        begun.save(repository().path_of("data")[0], incremental=True, upsert=ID)
    assert versions() == ["data:v0"] and pending() == {}


def test_files_folders_and_the_module_level_functions_do_too(here: Path) -> None:
    make_tree(here / "in", {"a": "1", "sub/b": "2"})
    with wandb.init(group=ID):
        wandb.upsert_artifact("in", name="data", type="dataset")
        wandb.upsert_artifact(Path("in/a"), name="data", type="dataset")
        made = wandb.finish_artifact(wandb.Artifact("data", type="dataset"))
    assert (made.type, paths(made)) == ("dataset", ["a", "sub/b"])


def test_entities_and_projects_have_pending_versions_of_their_own(here: Path) -> None:
    for entity, text in (("one", "1"), ("two", "2")):
        with wandb.init(entity=entity, project="p", group=ID) as run:
            run.upsert_artifact(draft(text=text))
    for entity, text in (("one", "1"), ("two", "2")):
        with wandb.init(entity=entity, project="p", group=ID) as run:
            made = run.finish_artifact(wandb.Artifact("data"))
            assert made.qualified_name == f"{entity}/p/data:v0"
        assert content(again(f"{entity}/p/data")) == {"f": text.encode()}


def test_a_part_of_another_type_is_refused(here: Path) -> None:
    with wandb.init(group=ID) as run:
        run.upsert_artifact(draft(type="dataset"))
        with pytest.raises(Conflict, match="type 'dataset'"):
            run.upsert_artifact(draft(text="2", type="model"))
        with pytest.raises(Conflict, match="type 'dataset'"):
            run.finish_artifact(draft(text="2", type="model"))
        assert run.finish_artifact(wandb.Artifact("data", type="dataset")).type == "dataset"


def test_a_logged_artifact_is_no_part_and_a_disabled_run_adds_none(here: Path) -> None:
    logged = log(draft())
    with wandb.init(group=ID) as run, pytest.raises(ArtifactFinalizedError):
        run.upsert_artifact(logged)
    assert pending() == {} and versions() == ["data:v0"]
    with wandb.init(group=ID, mode="disabled") as run:
        run.upsert_artifact(draft(text="2"))
        run.finish_artifact(draft(text="2"))
    assert pending() == {} and versions() == ["data:v0"]


def test_an_id_with_control_characters_is_shown_escaped(here: Path, cli: Cli) -> None:
    part({"a": "1"}, distributed_id="line\nbreak \x1b[31m")
    shown = cli("pending", "ls", cwd=here)
    assert "\x1b" not in shown.out and len(shown.out.splitlines()) == 2
    with wandb.init() as run:
        run.finish_artifact(wandb.Artifact("data"), distributed_id="line\nbreak \x1b[31m")
    assert paths(again("data")) == ["a"]


@pytest.mark.parametrize("id", ["a" * 300, 7])
def test_ids_that_are_not_allowed_are_refused_before_anything_is_written(here: Path, id: Any) -> None:
    log(draft())
    before = repository().collection("data").number
    with wandb.init() as run, pytest.raises(ValueError):
        run.upsert_artifact(draft(text="2"), distributed_id=id)
    assert repository().collection("data").number == before


# -- conflicts -------------------------------------------------------------------------------------------------------


def test_a_path_with_other_content_is_refused_with_its_name_and_both_writers(here: Path) -> None:
    part({"a": "1", "deep": "d"}, id="first")
    with pytest.raises(Conflict) as error:
        part({"a": "2", "new": "n"}, id="second")
    for word in ("'a'", "run first", "run second"):
        assert word in str(error.value)
    assert pending() == {ID: 1}
    assert content(finished()) == {"a": b"1", "deep": b"d"}


def test_a_finish_with_other_content_is_refused_with_both_writers_and_makes_nothing(here: Path) -> None:
    part({"a": "1"}, id="first")
    with wandb.init(group=ID, id="second") as run, pytest.raises(Conflict) as error:
        run.finish_artifact(write(wandb.Artifact("data"), a="2"))
    for word in ("'a'", "run first", "run second"):
        assert word in str(error.value)
    assert not wandb.Api().artifact_exists("data") and pending() == {ID: 1}
    assert content(finished()) == {"a": b"1"}


def test_a_file_where_another_part_has_a_folder_is_a_conflict(here: Path) -> None:
    part({"a/b": "1"}, id="first")
    with pytest.raises(Conflict, match="'a'"):
        part({"a": "2"}, id="second")
    with pytest.raises(Conflict, match="'a"):
        part({"a/b/c": "2"}, id="second")
    part({"a/c": "2"}, id="second")
    assert content(finished()) == {"a/b": b"1", "a/c": b"2"}


def test_of_parts_that_conflict_at_one_moment_exactly_one_wins(here: Path) -> None:
    """Each holds a path of its own too: that of a loser is not there."""
    log(draft("other"))
    root = str(here / ".artifacts")

    def add(number: int) -> int:
        with Repository(root) as one, one.draft() as made:
            made.add_bytes(b"%d" % number, "same")
            made.add_bytes(b"%d" % number, f"own-{number}")
            made.save_part(one.path_of("data")[0], ID, writer=f"run {number}")
        return number

    results = in_threads(*[(add, number) for number in range(8)])
    (winner,) = [result for result in results if isinstance(result, int)]
    losers = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(error, Conflict) and f"run {winner}" in str(error) for error in losers)
    assert content(finished()) == {"same": b"%d" % winner, f"own-{winner}": b"%d" % winner}


# -- gc, drop, deletion and other names ------------------------------------------------------------------------------


def test_gc_between_parts_and_finish_takes_nothing(here: Path) -> None:
    files = {f"{n}": f"{n}" * 3000 for n in range(20)} | {"large": "x" * 3_000_000}
    part(files)
    part({"b": "2"})
    for _ in range(2):
        repository().gc(now=True)
    assert content(finished()) == {path: text.encode() for path, text in (files | {"b": "2"}).items()}
    repository().gc(now=True)
    check(here / ".artifacts")


def test_what_is_dropped_is_freed_and_can_not_be_finished(here: Path, cli: Cli) -> None:
    log(draft("data", "kept"))
    part({"large": "x" * 3_000_000, "small": "s"})
    assert repository().gc(now=True).freed_bytes == 0
    assert cli("pending", "drop", "data", ID, cwd=here).code == 0
    assert repository().gc(now=True).freed_bytes > 3_000_000
    with pytest.raises(NotFound):
        finished()
    assert versions() == ["data:v0"] and pending() == {}


def test_a_pending_part_survives_reopening_and_a_long_log(here: Path) -> None:
    """The state comes from a checkpoint then."""
    part({"a": "1"})
    finished()
    part({"b": "2"})
    for number in range(150):
        repository().set_aliases("data:v0", (f"x{number}",))
        repository().set_tags("data:v0", (f"t{number}",))
    with Repository(str(here / ".artifacts")) as fresh:
        state = fresh.collection("data")
        assert list(state.upserts) == [ID] and list(state.finished) == [ID]
    assert content(finished()) == {"b": b"2"}


def test_pending_parts_move_with_their_artifact(here: Path, cli: Cli) -> None:
    part({"a": "1"})
    assert cli("mv", "data", "renamed", cwd=here).code == 0
    part({"b": "2"}, name="data")
    repository().gc(now=True)
    assert finished(name="renamed").name == "renamed:v0"
    assert content(again("renamed")) == {"a": b"1", "b": b"2"}


def test_parts_of_an_artifact_that_was_deleted_do_not_come_back(here: Path, cli: Cli) -> None:
    """Nor do they hold space that nothing shows."""
    log(draft("data", "kept"))
    part({"old": "x" * 2_000_000})
    deleted = cli("rm", "data", "--collection", "--force", cwd=here)
    assert deleted.code == 0
    repository().gc(now=True)
    shown = json.loads(cli("pending", "ls", "--json", cwd=here).out)
    size = sum(path.stat().st_size for path in Path(".artifacts/objects").rglob("*") if path.is_file())
    assert shown or size < 2_000_000
    part({"new": "2"})
    assert content(finished()) == {"new": b"2"}


# -- remotes ---------------------------------------------------------------------------------------------------------


def test_parts_are_never_pushed(here: Path, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    log(draft("data", "kept"))
    part({"secret": "not yet " * 1000, "large": "x" * 2_000_000})
    part({"only": "pending"}, name="new")
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    text = b"".join(path.read_bytes() for path in nas.rglob("*") if path.is_file() and "runs" not in path.parts)
    assert b"not yet" not in text and ID.encode() not in text and len(text) < 1_000_000
    with Repository.clone(str(nas), str(tmp_path / "clone/.artifacts"))[0] as clone:
        assert clone.collection("data").upserts == {}
    finished()
    repository().push("nas")
    with Repository.clone(str(nas), str(tmp_path / "again/.artifacts"))[0] as clone:
        assert [v["number"] for v in clone.collection("data").live()] == [0, 1]
    check(nas)


def test_an_artifact_that_has_only_parts_is_not_pushed(here: Path, tmp_path: Path) -> None:
    log(draft("data", "kept"))
    part({"only": "pending"}, name="new")
    repository().remotes.add("nas", str(tmp_path / "nas"), make=True)
    repository().push("nas")
    with Repository.clone(str(tmp_path / "nas"), str(tmp_path / "clone/.artifacts"))[0] as clone:
        assert [state.path.name for state in clone.collections()] == ["data"]


def test_a_pull_leaves_pending_parts_alone(here: Path, tmp_path: Path) -> None:
    nas = tmp_path / "nas"
    log(draft("data", "first"))
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with Repository.clone(str(nas), str(tmp_path / "clone/.artifacts"))[0] as clone:
        clone.put(str(make_tree(tmp_path / "in", {"theirs": "1"})), "data")
        clone.push()
    part({"ours": "1"})
    repository().pull("nas")
    assert pending() == {ID: 1} and paths(again("data")) == ["theirs"]
    repository().gc(now=True)
    assert finished().name == "data:v2"
    assert content(again("data")) == {"ours": b"1"}


# -- the command line ------------------------------------------------------------------------------------------------


def test_pending_versions_are_listed_finished_and_dropped_by_commands(here: Path, cli: Cli) -> None:
    part({"a": "1", "b": "22"}, id="writer")
    part({"c": "333"})
    part({"d": "4"}, name="other")

    def told(*args: str) -> Any:
        done = cli("pending", *args, "--json", cwd=here)
        assert done.code == 0, done
        return json.loads(done.out)

    listed = {one["collection"]: one for one in told("ls")}
    assert list(listed) == ["local/uncategorized/data", "local/uncategorized/other"]
    first, second = listed["local/uncategorized/data"]["parts"]
    assert (first["files"], first["size"], second["files"], second["size"]) == (2, 3, 1, 3)
    assert first["writer"].startswith("run writer ") and first["run"] == "local/uncategorized/writer"
    assert len(told("ls", "data")) == 1
    text = cli("pending", "ls", cwd=here)
    assert text.code == 0 and ID in text.out and "other" in text.out
    wrong = cli("pending", "finish", "data", "job-8", cwd=here)
    assert wrong.code != 0 and "job-8" in wrong.err and ID in wrong.err
    assert cli("pending", "drop", "data", "job-8", cwd=here).code != 0
    assert cli("pending", "finish", "nothing", ID, cwd=here).code != 0
    done = told("finish", "data", ID, "-a", "best", "-d", "all", "--metadata", '{"k": 1}')
    assert done == {"spec": "local/uncategorized/data:v0", "files": 3, "size": 6, "is_new": True}
    assert told("finish", "data", ID) == {**done, "is_new": False}
    made = again("data:best")
    assert (made.description, made.metadata, paths(made)) == ("all", {"k": 1}, ["a", "b", "c"])
    assert told("drop", "other", ID) == {"collection": "local/uncategorized/other", "dropped": ID}
    assert told("ls") == []
    assert cli("pending", "drop", "other", ID, cwd=here).code != 0
