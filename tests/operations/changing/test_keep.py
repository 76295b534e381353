"""A collection's own rule for what is kept: applied by saves where it was set or accepted, and by nobody else."""

import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.handles import opened
from artstore.api.recording import start
from artstore.domain.changes import new_change
from artstore.domain.retention import Policy
from artstore.errors import Conflict, InvalidValue
from artstore.operations.changing.changes import Changes
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.exchange import cloned
from tests.support.folders import make_tree


def repository() -> Repository:
    return opened(str(Path(".artifacts").absolute()))


def save(number: int, **metadata: Any) -> None:
    log(draft("model", f"model {number}", metadata=metadata))


def live(at: Repository | None = None) -> list[int]:
    at = at or repository()
    return [version["number"] for version in at.refs.read(at.path_of("model")[0]).live()]


def test_each_save_deletes_what_the_rule_doesnt_keep(here: Path) -> None:
    for number in range(4):
        save(number)
    kept = repository().keep("model", "last:3")
    assert kept.accepted and [verdict.version["number"] for verdict in kept.going] == [0]
    assert live() == [0, 1, 2, 3], "setting a rule deletes nothing"
    save(4)
    assert live() == [2, 3, 4]
    save(5)
    assert live() == [3, 4, 5]
    repository().undelete("model:v2")
    repository().keep("model", None)
    save(6)
    assert live() == [2, 3, 4, 5, 6]


def test_the_best_by_a_key_of_metadata_is_kept_beside_the_newest(here: Path) -> None:
    save(0, loss=1.0)
    repository().keep("model", "last:2, best:loss:min")
    for number, loss in enumerate((0.25, 0.5, 0.75, 0.5), 1):
        save(number, loss=loss)
    assert live() == [1, 3, 4]


def test_aliased_tagged_and_linked_versions_stay_whatever_the_rule_says(here: Path) -> None:
    for number in range(4):
        save(number)
    repository().set_aliases("model:v0", add=("prod",))
    repository().set_tags("model:v1", add=("paper",))
    repository().link(repository().find("model:v2"), "registry-team/models")
    repository().keep("model", "last:1")
    save(4)
    assert live() == [0, 1, 2, 4]


def test_what_a_running_run_uses_or_made_stays_until_its_end_applies_the_rule(here: Path) -> None:
    save(0)
    save(1)
    with wandb.init(id="eval") as run:
        run.use_artifact("model:v0")
        recording = start(str(Path(".artifacts").absolute()), id="other")
        repository().keep("model", "last:1")
        run.log_artifact(draft("model", "made here 2"))
        run.log_artifact(draft("model", "made here 3"))
        assert live() == [0, 2, 3]
    assert live() == [3]
    recording.finish(0, {})


def test_a_collections_keep_is_set_and_removed_in_python(here: Path) -> None:
    save(0)
    collection = wandb.Api().artifact_collection("artifact", "model")
    assert collection.keep is None
    collection.keep = "last:1"
    collection.save()
    save(1)
    assert live() == [1]
    again = wandb.Api().artifact_collection("artifact", "model")
    assert again.keep == "last:1"
    again.keep = None
    again.save()
    save(2)
    assert live() == [1, 2]


@pytest.mark.parametrize("rule", ["", "last:0", "last", "last:x", "best", "best:", "newest:3", "younger:soon", ","])
def test_what_isnt_a_rule_is_refused_with_one_that_is(here: Path, rule: str) -> None:
    save(0)
    with pytest.raises(InvalidValue):
        repository().keep("model", rule)
    with pytest.raises(InvalidValue):
        Policy.parse(rule)


def test_a_rule_is_pushed_and_pulled_but_deletes_nothing_elsewhere_before_it_is_accepted(
    here: Path, tmp_path: Path
) -> None:
    save(0)
    save(1)
    repository().keep("model", "last:1")
    nas = tmp_path / "nas"
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with cloned(tmp_path, nas, "bob") as bob:
        state = bob.refs.read(bob.path_of("model")[0])
        assert state.keep == "last:1"
        assert bob.kept("model").accepted is False
        (tmp_path / "new").mkdir()
        (tmp_path / "new/f").write_text("bob's")
        bob.put(str(tmp_path / "new"), "model")
        assert live(bob) == [0, 1, 2]
        assert bob.accept_keep("model").accepted
        (tmp_path / "new/f").write_text("bob's second")
        assert bob.put(str(tmp_path / "new"), "model").deleted == (0, 1, 2)
        assert live(bob) == [3]
    repository().keep("model", "last:2")
    repository().push("nas")
    with Repository(str(tmp_path / "bob/.artifacts")) as bob:
        bob.pull()
        assert bob.refs.read(bob.path_of("model")[0]).keep == "last:2"
        assert not bob.kept("model").accepted, "another rule has to be accepted again"


def test_both_sides_set_a_rule_and_the_remote_keeps_its_own(here: Path, tmp_path: Path) -> None:
    save(0)
    nas = tmp_path / "nas"
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with cloned(tmp_path, nas, "bob") as bob:
        bob.keep("model", "last:5")
        bob.push()
        repository().keep("model", "last:1")
        result = repository().push("nas")
        assert any("retention rule: theirs stays" in text for one in result.collections for text in one.declined)
        repository().pull("nas")
        assert repository().refs.read(repository().path_of("model")[0]).keep == "last:5"
        assert not repository().kept("model").accepted


def test_a_note_of_accepted_rules_that_others_could_have_written_is_not_believed(here: Path) -> None:
    save(0)
    repository().keep("model", "last:1")
    os.chmod(".artifacts/accepted", 0o666)
    save(1)
    assert live() == [0, 1]


def test_a_repository_that_is_unpacked_brings_no_accepted_rule(here: Path, tmp_path: Path) -> None:
    """Somebody else accepted it, maybe. A copy of your own says so, and how to accept the rule again."""
    save(0)
    repository().keep("model", "last:1")
    other = tmp_path / "other"
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        archive.add(".artifacts")
    with tarfile.open(tmp_path / "all.tar") as archive:
        archive.extractall(other, filter="fully_trusted")
    source = make_tree(tmp_path / "source", {"f": "new"})
    with Repository(str(other / ".artifacts")) as copy:
        assert not copy.kept("model").accepted
        with pytest.warns(
            UserWarning, match="copied or restored since it was accepted; `artstore keep --accept model`"
        ):
            assert copy.put(str(source), "model").deleted == ()
        assert copy.accept_keep("model").accepted
        make_tree(source, {"f": "newer"})
        assert copy.put(str(source), "model").deleted == (0, 1)
    assert repository().kept("model").accepted


def test_an_accepted_rule_stays_accepted_where_a_project_is_moved_and_for_all_who_share_it(
    here: Path, tmp_path: Path
) -> None:
    save(0)
    repository().keep("model", "last:1")
    root = tmp_path / "moved"
    shutil.move(".artifacts", root)
    with Repository(str(root)) as moved:
        assert moved.kept("model").accepted
    group = os.stat(root).st_gid
    os.chmod(root, 0o2775)
    if os.geteuid() == 0:
        os.chown(root / "accepted", 65534, group)
        with Repository(str(root)) as shared:
            assert shared.kept("model").accepted, "another member of the group accepted it"
        os.chmod(root, 0o755)
        with Repository(str(root)) as own:
            assert not own.kept("model").accepted


def test_a_rule_that_cant_be_applied_is_a_warning_and_the_save_stands(here: Path) -> None:
    save(0)
    assert (
        repository().keep("model", "last:1, best:acc").problem
        == "no version of model has a number under 'acc' in its metadata"
    )
    with pytest.warns(
        UserWarning, match="the rule 'last:1, best:acc' of model was not applied: no version of model has a number"
    ):
        save(1)
    assert live() == [0, 1]


def test_what_a_rule_let_go_comes_back_until_gc_frees_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(0)
    repository().keep("model", "last:1")
    save(1)
    assert live() == [1]
    repository().undelete("model:v0")
    assert live() == [0, 1]
    check(Path(".artifacts").absolute())


def test_a_collection_without_a_rule_costs_a_save_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise AssertionError("the catalog was read")

    monkeypatch.setattr("artstore.operations.finding.catalog.Catalog.in_use", refuse)
    save(0)
    save(1)
    assert live() == [0, 1]


def test_accepting_a_rule_that_isnt_there_is_refused(here: Path) -> None:
    save(0)
    with pytest.raises(Conflict, match="model has no rule for what to keep"):
        repository().accept_keep("model")


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_sets_shows_tries_and_removes_a_rule(here: Path, cli: Cli) -> None:
    for number in range(3):
        save(number)
    assert cli("keep", "model", cwd=here).out == "model: all versions are kept\n"
    tried = cli("keep", "model", "last:1", "--dry-run", cwd=here)
    assert tried.out.splitlines()[-1] == "model: the rule 'last:1' would delete 2 of 3 versions"
    assert cli("keep", "model", cwd=here).out == "model: all versions are kept\n"
    done = cli("keep", "model", "last:2, tagged", cwd=here)
    assert done.out.splitlines()[-1] == "model: the next save deletes 1 of 3 versions; the rule is 'last:2, tagged'"
    (here / "f").write_text("next")
    saved = cli("put", "f", "--name", "model", cwd=here)
    assert "deleted v0, v1, which 'last:2, tagged' doesn't keep" in saved.out
    found = json.loads(cli("keep", "model", "--json", cwd=here).out)
    assert (found["rule"], found["accepted"]) == ("last:2, tagged", True)
    assert [one["goes"] for one in found["versions"]] == [False, False]
    assert cli("keep", "model", "--off", cwd=here).out == "model: all versions are kept\n"


def test_the_command_says_why_a_rule_cant_be_applied(here: Path, cli: Cli) -> None:
    save(0)
    told = "model: the rule 'best:acc' can't be applied, so nothing is deleted: no version of model has a number"
    assert cli("keep", "model", "best:acc", cwd=here).out == f"{told} under 'acc' in its metadata\n"


def test_the_command_says_that_a_rule_from_elsewhere_waits_for_accept(here: Path, cli: Cli, tmp_path: Path) -> None:
    save(0)
    repository().keep("model", "last:1")
    repository().remotes.add("nas", str(tmp_path / "nas"), make=True)
    repository().push("nas")
    assert cli("clone", str(tmp_path / "nas"), "bob", cwd=tmp_path).code == 0
    shown = cli("keep", "model", cwd=tmp_path / "bob")
    assert shown.err == "hint: it was set elsewhere; `artstore keep --accept model` lets saves here apply it\n"
    assert cli("keep", "model", "--accept", cwd=tmp_path / "bob").err == ""
    assert cli("keep", "model", cwd=tmp_path / "bob").err == ""


def test_a_rule_from_elsewhere_with_the_id_of_an_accepted_one_deletes_nothing(here: Path, tmp_path: Path) -> None:
    save(0)
    repository().keep("model", "last:1")
    log(draft("data", "data 0"))
    nas = tmp_path / "nas"
    repository().remotes.add("nas", str(nas), make=True)
    repository().push("nas")
    with cloned(tmp_path, nas, "mallory") as mallory:
        stolen = next(
            change
            for entry in mallory.refs.history(mallory.path_of("model")[0])
            for change in entry.changes
            if change["kind"] == "keep"
        )
        mallory.refs.change(mallory.path_of("data")[0], lambda _: [stolen])
        mallory.push()
    repository().pull("nas")
    assert repository().refs.read(repository().path_of("data")[0]).keep == "last:1"
    log(draft("data", "data 1"))
    assert [version["number"] for version in repository().refs.read(repository().path_of("data")[0]).live()] == [0, 1]


def test_an_accepted_rule_goes_on_under_a_new_name(here: Path) -> None:
    save(0)
    repository().keep("model", "last:1")
    repository().rename("model", "best")
    log(draft("best", "another"))
    assert [version["number"] for version in repository().refs.read(repository().path_of("best")[0]).live()] == [1]


def test_a_rule_that_this_artstore_cant_read_is_not_accepted(here: Path) -> None:
    save(0)
    path = repository().path_of("model")[0]
    repository().refs.change(path, lambda _: [new_change("keep", old=None, new="fewest:3")])
    with pytest.raises(InvalidValue, match="'fewest:3' is not a rule"):
        repository().accept_keep("model")
    assert not Path(".artifacts/accepted").exists()


def test_an_enormous_rule_is_refused_in_a_short_message(here: Path) -> None:
    save(0)
    with pytest.raises(InvalidValue, match="a rule may have 1000 characters, not 1000000"):
        repository().keep("model", "z" * 1_000_000)


@pytest.mark.parametrize("act", ["alias", "tag", "link", "run", "no rule", "not accepted"])
def test_what_changes_while_a_rule_is_applied_counts(here: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """Between the plan and the deletion somebody names, links or uses the version, or removes the rule."""
    save(0)
    save(1)
    repository().keep("model", "last:1")
    release, recordings = Changes._release, []

    def meanwhile(changes: Changes, *args: Any, **options: Any) -> None:
        release(changes, *args, **options)
        monkeypatch.setattr(Changes, "_release", release)
        with Repository(".artifacts") as other:
            if act == "alias":
                other.set_aliases("model:v0", add=("prod",))
            elif act == "tag":
                other.set_tags("model:v0", add=("paper",))
            elif act == "link":
                other.link(other.find("model:v0"), "registry-team/models")
            elif act == "run":
                recordings.append(start(str(Path(".artifacts").absolute()), id="other"))
                recordings[0].used(other.find("model:v0"), None)
            elif act == "no rule":
                other.keep("model", None)
            else:
                Path(".artifacts/accepted").unlink()

    monkeypatch.setattr(Changes, "_release", meanwhile)
    with Repository(".artifacts") as at:
        assert at.retain(at.refs.read(at.path_of("model")[0])) == ()
        assert live(at) == [0, 1]
    for recording in recordings:
        recording.finish(0, {})
