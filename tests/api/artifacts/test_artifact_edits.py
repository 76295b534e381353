"""What is said of a logged artifact: edits of aliases, tags, description, metadata and ttl, its runs, differences and deletion."""

import datetime
from pathlib import Path

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.domain.properties import Properties
from artstore.errors import Conflict, NotFound
from artstore.store.logs import CHECKPOINT_EVERY
from tests.support.artifacts import again
from tests.support.artifacts import log_files as log
from tests.support.commands import Cli
from tests.support.folders import make_tree, snapshot


def changes(name: str = "data") -> int:
    """Entries in the collection's log."""
    with wandb.Repository(".artifacts") as repository:
        return len(list(repository.history(name)))


# -- edits ---------------------------------------------------------------------------------------


def test_edits_in_place_are_written_by_save_and_not_before(here: Path) -> None:
    artifact = log({"f": "1"}, metadata={"a": {"n": [1]}, "gone": 1}, aliases=["x"], tags=["t"])
    artifact.aliases.append("y")
    artifact.aliases.remove("x")
    artifact.tags.insert(0, "u")
    artifact.metadata["a"]["n"].append(2)
    artifact.metadata["new"] = (1, 2)
    del artifact.metadata["gone"]
    artifact.description = "about"
    artifact.ttl = datetime.timedelta(days=1)
    before = again()
    assert (before.aliases, before.tags, before.description, before.ttl) == (["latest", "x"], ["t"], None, None)
    assert before.metadata == {"a": {"n": [1]}, "gone": 1}
    artifact.save()
    for read in (artifact, again(), again("data:y")):
        assert (read.aliases, sorted(read.tags), read.description) == (["latest", "y"], ["t", "u"], "about")
        assert (read.metadata, read.ttl) == ({"a": {"n": [1, 2]}, "new": [1, 2]}, datetime.timedelta(days=1))
    assert artifact.version == "v0" and not wandb.Api().artifact_exists("data:x")


def test_assigned_values_are_written_by_save_and_may_be_taken_away(here: Path) -> None:
    artifact = log({"f": "1"}, description="old", metadata={"a": 1}, aliases=["x"], tags=["t"])
    artifact.aliases, artifact.tags, artifact.metadata = ["y", "z"], ["u", "u"], {"b": 2}
    artifact.ttl = datetime.timedelta(hours=1)
    artifact.save()
    assert (again().aliases, again().tags, again().metadata) == (["latest", "y", "z"], ["u"], {"b": 2})
    artifact.aliases, artifact.tags, artifact.metadata, artifact.description = [], [], {}, None
    artifact.ttl = None
    artifact.save()
    for read in (artifact, again()):
        assert (read.aliases, read.tags, read.metadata, read.description) == (["latest"], [], {}, None)
        assert read.ttl is None
    with pytest.raises(TypeError, match="a description must be text, not int"):
        artifact.description = 5  # type: ignore[assignment]


def test_edits_of_nested_values_are_nobody_else_s_before_they_are_saved_nor_in_what_a_handle_keeps(
    here: Path, tmp_path: Path
) -> None:
    """A long collection that is read again and again is folded once; the fold must not be what the user edits."""
    repository, source = wandb.Repository.init(".artifacts"), tmp_path / "src"
    for number in range(CHECKPOINT_EVERY + 6):
        repository.put(str(make_tree(source, {"f": str(number)})), "data", metadata={"cfg": {"lr": number}})
    api = wandb.Api()
    for _ in range(3):
        artifact = api.artifact("data:v10")
    artifact.metadata["cfg"]["lr"] = 999
    assert api.artifact("data:v10").metadata == {"cfg": {"lr": 10}}
    held = opened(str(here / ".artifacts"))
    for number in range(CHECKPOINT_EVERY):
        held.put(str(make_tree(source, {"f": f"more {number}"})), "data")
    with wandb.Repository(".artifacts") as anew:
        assert anew.properties(anew.find("data:v10"))[1] == {"cfg": {"lr": 10}}
        assert not anew.fsck().problems, "the checkpoint that was written meanwhile"
    artifact.save()
    with wandb.Repository(".artifacts") as anew:
        assert anew.properties(anew.find("data:v10"))[1] == {"cfg": {"lr": 999}}


def test_an_edit_that_breaks_a_rule_is_refused_and_nothing_is_written(here: Path) -> None:
    artifact = log({"f": "1"})
    entries = changes()
    artifact.description = "not written"
    for values, wrong, message in (
        (artifact.aliases, "v3", "alias 'v3' is not allowed"),
        (artifact.tags, "a,b", "Invalid tag\\(s\\): 'a,b'"),
    ):
        with pytest.raises(ValueError, match=message):
            setattr(artifact, "tags" if values is artifact.tags else "aliases", [wrong])
        values.append(wrong)
        with pytest.raises(ValueError, match=message):
            artifact.save()
        values.remove(wrong)
    artifact.metadata.update(dict.fromkeys(map(str, range(101))))
    with pytest.raises(ValueError, match="metadata has 101 top-level keys"):
        artifact.save()
    assert changes() == entries and again().description is None


def test_a_save_of_nothing_new_writes_nothing(here: Path) -> None:
    artifact = log({"f": "1"}, metadata={"a": float("nan"), "b": 1.0, "s": {2, 1}}, aliases=["x"])
    entries = changes()
    artifact.save()
    artifact.aliases = ["latest", "x"]
    artifact.metadata = {"s": (1, 2), "b": 1.0, "a": None}
    artifact.save()
    assert changes() == entries


def test_what_others_changed_meanwhile_stays(here: Path) -> None:
    mine = log({"f": "1"}, metadata={"a": 1, "b": 1}, aliases=["x"], tags=["t"])
    theirs = again()
    theirs.aliases.append("theirs")
    theirs.tags.append("theirs")
    theirs.metadata["b"] = 2
    theirs.description = "theirs"
    theirs.save()
    mine.aliases.append("mine")
    mine.metadata["a"] = 2
    mine.save()
    assert sorted(mine.aliases) == sorted(again().aliases) == ["latest", "mine", "theirs", "x"]
    assert (again().tags, again().metadata, again().description) == (["t", "theirs"], {"a": 2, "b": 2}, "theirs")


def test_an_alias_moves_to_the_version_that_takes_it(here: Path) -> None:
    old = log({"f": "1"}, aliases=["best"])
    new = log({"f": "2"}, aliases=["best"])
    assert (again("data:best"), again("data:v0").aliases, new.aliases) == (new, [], ["latest", "best"])
    old.save()
    assert again("data:best") == new, "what was read and not edited doesn't come back"
    old = again("data:v0")
    old.aliases.append("best")
    old.save()
    assert again("data:best") == old and again("data:v1").aliases == ["latest"]


def test_long_values_come_back_whole(here: Path) -> None:
    artifact = log({"f": "1"}, description="d" * 20_000, metadata={"long": list(range(20_000))})
    assert again().description == "d" * 20_000 and again().metadata == {"long": list(range(20_000))}
    artifact.metadata["long"].append(1)
    artifact.save()
    assert len(again().metadata["long"]) == 20_001


def test_a_ttl_set_on_a_draft_is_logged_and_inherit_takes_it_back(here: Path) -> None:
    artifact = wandb.Artifact("data")
    artifact.ttl = datetime.timedelta(days=30)
    artifact.save()
    assert again().ttl == artifact.ttl == datetime.timedelta(days=30)
    artifact.ttl = wandb.ArtifactTTL.INHERIT
    artifact.save()
    assert again().ttl is None


def test_an_edit_changes_when_it_was_updated_and_not_when_it_was_created(here: Path) -> None:
    artifact = log({"f": "1"})
    created, updated = artifact.created_at, artifact.updated_at
    artifact.description = "x"
    artifact.save()
    assert artifact.created_at == created
    assert datetime.datetime.fromisoformat(again().updated_at) >= datetime.datetime.fromisoformat(updated)


# -- runs ----------------------------------------------------------------------------------------


def test_logged_by_is_the_run_that_made_it_and_used_by_those_that_read_it(here: Path) -> None:
    with wandb.init(id="maker") as run:
        artifact = run.log_artifact(wandb.Artifact("data"))
    assert artifact.used_by() == []
    for id in ("first", "second"):
        with wandb.init(id=id, project="readers") as run:
            run.use_artifact("uncategorized/data:latest")
            run.use_artifact(artifact)
    with wandb.init(id="again") as run:
        run.log_artifact(wandb.Artifact("data"))
    made = artifact.logged_by()
    assert made is not None and (made.id, made.project, made.state) == ("maker", "uncategorized", "finished")
    assert [(run.project, run.id) for run in artifact.used_by()] == [("readers", "second"), ("readers", "first")]


def test_what_no_run_logged_has_no_run(here: Path) -> None:
    with wandb.Repository.init(".artifacts") as repository:
        repository.put(str(make_tree(here / "in", {"f": "1"})), "data")
    assert again().logged_by() is None and again().used_by() == []


# -- differences ---------------------------------------------------------------------------------


def test_diff_tells_added_removed_changed_and_renamed_files_sizes_and_metadata(here: Path) -> None:
    old = log(
        {"same": "1", "old/name": "moved", "gone": "123", "edit": "1"}, metadata={"a": 1, "b": {"c": 1}, "x": None}
    )
    new = log(
        {"same": "1", "new-name": "moved", "more": "12345", "edit": "22"}, metadata={"a": 1, "b": {"c": 2}, "y": 1}
    )
    found = old.diff(new)
    assert (found.added, found.removed, found.changed) == (["more"], ["gone"], ["edit"])
    assert (found.renamed, found.size_change, bool(found)) == ([("old/name", "new-name")], 3, True)
    assert found.metadata == {"b": ({"c": 1}, {"c": 2}), "x": (None, None), "y": (None, 1)}
    assert (found.old, found.new, found.summary()) == (
        "data:v0", "data:v1", "1 added, 1 removed, 1 changed, 1 renamed, metadata, +3 B",
    )  # fmt: skip
    back = new.diff(old)
    assert (back.added, back.removed, back.renamed, back.size_change) == (["gone"], ["more"], [("new-name", "old/name")], -3)  # fmt: skip
    assert not old.diff(again("data:v0")) and old.diff(again("data:v0")).summary() == "no difference"


def test_diff_takes_a_logged_artifact(here: Path) -> None:
    artifact = log({"f": "1"})
    with pytest.raises(AttributeError, match="'Artifact.diff' used prior to logging artifact 'draft'"):
        artifact.diff(wandb.Artifact("draft"))
    with pytest.raises(TypeError, match="another Artifact, not str"):
        artifact.diff("data:v0")  # type: ignore[arg-type]


# -- deletion ------------------------------------------------------------------------------------


def test_delete_is_refused_while_aliases_hold_it_unless_asked(here: Path) -> None:
    artifact = log({"f": "1"}, aliases=["best", "prod"])
    with pytest.raises(Conflict, match="^data:v0 has the aliases 'latest', 'best', 'prod'\n") as error:
        artifact.delete()
    assert isinstance(error.value, ValueError) and "delete_aliases=True" in (error.value.hint or "")
    assert artifact.state == "COMMITTED"
    artifact.delete(delete_aliases=True)
    assert not any(wandb.Api().artifact_exists(spec) for spec in ("data", "data:best", "data:v0"))
    log({"f": "2"}).delete(delete_aliases=True)


def test_a_deleted_artifact_keeps_its_name_number_size_and_date_and_its_number_is_not_used_again(here: Path) -> None:
    artifact = log({"f": "123"})
    told = (artifact.name, artifact.version, artifact.size, artifact.created_at, artifact.digest, artifact.id)
    artifact.delete(delete_aliases=True)
    assert (artifact.state, artifact.is_draft()) == ("DELETED", False)
    assert (artifact.name, artifact.version, artifact.size, artifact.created_at, artifact.digest, artifact.id) == told
    made = artifact.logged_by()
    assert made is not None and made.state == "finished"
    assert log({"f": "123"}).version == "v1"


@pytest.mark.parametrize("verb", ["delete", "save", "new_draft", "use_artifact", "log_artifact"])
def test_a_deleted_artifact_is_refused_by_whatever_would_change_or_use_it(here: Path, verb: str) -> None:
    artifact = log({"f": "1"})
    artifact.delete(delete_aliases=True)
    artifact.description = "x"
    with wandb.init() as run:
        with pytest.raises(NotFound, match="data:v0 was deleted"):
            getattr(run, verb)(artifact) if verb.endswith("_artifact") else getattr(artifact, verb)()
        assert (len(run.used_artifacts()), len(run.logged_artifacts())) == (0, 0)
    assert artifact.state == "DELETED" and artifact.used_by() == []


def test_deletion_frees_space_at_the_next_gc_and_spares_what_others_hold(here: Path) -> None:
    other = log({"shared": b"s" * 2_000_000}, "other")
    artifact = log({"shared": b"s" * 2_000_000, "own": b"o" * 2_000_000})
    artifact.delete(delete_aliases=True)
    with wandb.Repository(".artifacts") as repository:
        before = sum(path.stat().st_size for path in Path(".artifacts/objects").rglob("*") if path.is_file())
        repository.gc(now=True)
        after = sum(path.stat().st_size for path in Path(".artifacts/objects").rglob("*") if path.is_file())
    assert 1_900_000 < before - after < 2_100_000
    assert snapshot(Path(other.download("out"))) == {"shared": (False, b"s" * 2_000_000)}
    with pytest.raises(NotFound, match="data:v0 was deleted and collected"):
        artifact.download("gone")
    assert not (here / "gone").exists()


def test_an_alias_that_differs_from_latest_only_by_case_is_refused_wherever_one_is_set(here: Path, cli: Cli) -> None:
    stored, said = (
        log({"f": "1"}),
        "alias '.*' is not allowed: it differs from 'latest', the newest version, only by case",
    )
    stored.aliases.append("LATEST")
    fresh = wandb.Artifact("data")
    with wandb.init() as run:
        run.use_artifact(stored)
        for make in (
            stored.save,
            lambda: run.log_artifact(fresh, aliases=["Latest"]),
            lambda: run.link_artifact(stored, "registry-models/m", aliases=["laTest"]),
        ):
            with pytest.raises(ValueError, match=said):
                make()
    for words in (("alias", "data", "LATEST"), ("put", "work.txt", "-n", "data", "--alias", "Latest")):
        (here / "work.txt").touch()
        done = cli(*words, cwd=here)
        assert done.code == 3 and "only by case" in done.err
    assert wandb.Api().artifact("data").aliases == ["latest"]


def test_an_alias_like_latest_that_is_there_already_can_be_removed_and_keeps_nothing_from_being_edited(
    here: Path,
) -> None:
    log({})
    with wandb.Repository(str(here / ".artifacts")) as repository, repository.draft() as other:
        other.save(repository.collection("data").path, properties=Properties(aliases=("LATEST",)))
    stored = wandb.Api().artifact("data")
    assert stored.aliases == ["latest", "LATEST"]
    stored.description, stored.aliases = "edited", [*stored.aliases, "best"]
    stored.save()
    stored.aliases.remove("LATEST")
    stored.save()
    assert wandb.Api().artifact("data:latest").aliases == ["latest", "best"]
