"""remote, push, pull, fetch, clone and --from on the command line: what is printed, as text and as JSON, and exit codes."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from artstore.repository import Repository
from tests.support.checks import check
from tests.support.commands import Cli, Result
from tests.support.folders import make_tree


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    """A folder with a repository: data:v0 (prod) of 2 bytes, and an empty remote `nas` beside it."""
    folder = make_tree(tmp_path / "anna", {"src/f": "1\n"})
    with Repository.init(str(folder / ".artifacts")) as repository:
        repository.put(str(folder / "src"), "data", aliases=("prod",))
        repository.remotes.add("nas", str(tmp_path / "nas"), make=True)
    return folder


@pytest.fixture
def bob(anna: Path, tmp_path: Path) -> Path:
    """A clone of the remote, with all that anna had."""
    with Repository(str(anna / ".artifacts")) as repository:
        repository.push()
    Repository.clone(str(tmp_path / "nas"), str(tmp_path / "bob/.artifacts"))[0].close()
    return tmp_path / "bob"


@pytest.fixture(autouse=True)
def checked(tmp_path: Path) -> Any:
    yield
    for place in (tmp_path / "nas", tmp_path / "anna/.artifacts", tmp_path / "bob/.artifacts"):
        if (place / "format").exists():
            check(place)


def ok(result: Result) -> str:
    assert (result.code, result.err) == (0, ""), result
    return result.out


def plain(text: str | None, folder: Path) -> str:
    text = text or ""
    text = text.replace(str(folder.parent), "~")
    return re.sub(r"\d\d\d\d-\d\d-\d\d \d\d:\d\d", "<time>", text)


def as_json(result: Result) -> Any:
    assert result.err == "", result
    return json.loads(result.out)


def save(folder: Path, content: str, name: str = "data") -> None:
    make_tree(folder, {"src/f": content})
    with Repository(str(folder / ".artifacts")) as repository:
        repository.put(str(folder / "src"), name)


# -- remote --------------------------------------------------------------------------------------


def test_a_remote_is_added_listed_and_removed(cli: Cli, anna: Path) -> None:
    nas = str(anna.parent / "nas")
    assert ok(cli("remote", "ls", cwd=anna)) == f"NAME  PLACE\nnas   {nas}\n"
    assert as_json(cli("remote", "ls", "--json", cwd=anna)) == [
        {"remote": "nas", "url": nas, "partial": False, "relative": False}
    ]
    added = as_json(cli("remote", "add", "other", "../other", "--init", "--shared", "--json", cwd=anna))
    assert added == {"remote": "other", "url": str(anna.parent / "other"), "partial": False, "relative": True}
    assert (anna.parent / "other").stat().st_mode & 0o2070 == 0o2070
    assert ok(cli("remote", "rm", "other", cwd=anna)) == "removed remote other\n"
    assert as_json(cli("remote", "rm", "nas", "--json", cwd=anna)) == {"removed": "nas"}
    assert (anna.parent / "nas/format").exists(), "nothing is changed there"
    nothing = cli("remote", "ls", cwd=anna)
    assert (nothing.code, nothing.out) == (0, "") and "artstore remote add NAME URL" in nothing.err
    assert as_json(cli("remote", "ls", "--json", cwd=anna)) == []
    assert ok(cli("remote", "add", "nas", "../nas", cwd=anna)) == f"added remote nas: {nas}\n"


ERRORS: dict[tuple[str, ...], tuple[int, str, str | None]] = {
    ("remote", "add", "nas", "../nas"): (5, "there is a remote 'nas' already", "`artstore remote rm nas` removes it"),
    ("remote", "add", "x", "../nowhere"): (
        4,
        "there is no repository in ~/nowhere",
        "`artstore remote add --init x ../nowhere` makes one there; an unmounted share looks like this too",
    ),
    ("remote", "add", "x", "../full", "--init"): (
        6,
        "~/full is not empty, and is not a repository",
        "choose an empty folder, or a new one in it, such as ~/full/store",
    ),
    ("remote", "add", "x", "."): (3, "~/anna/.artifacts is this repository itself", None),
    ("remote", "add", "x", ".artifacts"): (3, "~/anna/.artifacts is this repository itself", None),
    ("remote", "rm", "nsa"): (4, "there is no remote 'nsa'", "did you mean 'nas'?"),
    ("remote", "rm", "x"): (4, "there is no remote 'x'", "the remotes are nas"),
    ("push", "origin"): (4, "there is neither a remote nor an artifact 'origin'", "the remotes are nas"),
    ("fetch", "origin"): (4, "there is neither a remote nor an artifact 'origin'", "the remotes are nas"),
    ("pull", "nas", "x"): (
        4,
        "remote 'nas' has no artifact local/uncategorized/x",
        "`artstore ls --from nas` lists its artifacts",
    ),
    ("gc", "origin"): (4, "there is neither a remote nor a repository 'origin'", "the remotes are nas"),
    ("gc", "nsa"): (4, "there is neither a remote nor a repository 'nsa'", "did you mean 'nas'?"),
    ("gc", "./origin"): (
        4,
        "there is no repository in ~/anna/origin",
        "check the path; an unmounted share looks like this too",
    ),
    ("push", "nsa"): (4, "there is neither a remote nor an artifact 'nsa'", "did you mean 'nas'?"),
    ("push", "nas", "nothing"): (4, "there is no artifact local/uncategorized/nothing", None),
    ("push", "data:v7"): (4, "local/uncategorized/data has no version v7", "the newest is v0"),
    ("pull", "nothing"): (
        4,
        "there is neither a remote nor an artifact 'nothing'",
        "the remotes are nas",
    ),
    ("pull", "--no-blobs", "--include", "*.txt"): (
        3,
        "--no-blobs can't be combined with --path-prefix, --include or --exclude",
        None,
    ),
    ("clone", "../nowhere"): (4, "there is no repository in ~/nowhere", None),
    ("clone", ".."): (3, "can't name a folder after '..'", "give the FOLDER to clone to"),
    ("clone", "../nas", "."): (5, "there is another repository in ~/anna/.artifacts", "choose another folder"),
    ("get", "--from", "../nowhere", "data"): (4, "there is no repository in ~/nowhere", None),
    ("ls", "--from", "nas", "nothing"): (4, "there is no artifact 'nothing' in project local/uncategorized", None),
    ("push", "-j", "0"): (2, "invalid value for '-j' / '--jobs': 0 is not in the range 1<=x<=64", None),
    ("clone",): (2, "missing argument 'URL'", "see `artstore clone --help`"),
    ("remote", "add", "x"): (2, "missing argument 'URL'", "see `artstore remote add --help`"),
    ("gc", "nas", "--abandon", "x"): (4, "there is no transaction 'x'", None),
}


@pytest.mark.parametrize("args", ERRORS, ids=" ".join)
def test_every_error_is_a_sentence_with_its_exit_code_and_the_same_as_json(
    cli: Cli, anna: Path, args: tuple[str, ...]
) -> None:
    make_tree(anna.parent / "full", {"x": ""})
    code, message, hint = ERRORS[args]
    text = cli(*args, cwd=anna)
    assert (text.code, text.out) == (code, ""), text
    lines = plain(text.err, anna).splitlines()
    assert lines[0] == f"error: {message}"
    if hint is not None:
        assert lines[1:] == [f"hint: {hint}"]
    told = cli(*args, "--json", cwd=anna)
    error = as_json(told)["error"]
    assert told.code == error["exit_code"] == code and plain(error["message"], anna) == message
    assert [f"hint: {plain(error['hint'], anna)}"] * bool(error["hint"]) == lines[1:]


def test_a_failed_clone_does_not_tell_to_add_a_remote_and_leaves_no_folder(cli: Cli, tmp_path: Path) -> None:
    result = cli("clone", "nowhere", "here")
    assert result.code == 4 and "remote add" not in result.err
    assert not (tmp_path / "here").exists()


def test_a_name_that_is_neither_a_remote_nor_an_artifact_is_told_as_what_it_may_have_been(cli: Cli, anna: Path) -> None:
    result = cli("push", "nsa", cwd=anna)
    assert result.code == 4 and "nas" in result.err, "a mistyped remote"


def test_without_a_remote_or_with_several_the_command_says_what_to_do(cli: Cli, anna: Path) -> None:
    cli("remote", "add", "second", "../second", "--init", cwd=anna)
    for command in ("push", "pull", "fetch"):
        result = cli(command, cwd=anna)
        assert (result.code, result.err) == (
            3,
            "error: there are several remotes: nas, second\nhint: name one of them\n",
        )
    for name in ("nas", "second"):
        cli("remote", "rm", name, cwd=anna)
    for command in ("push", "pull", "fetch"):
        result = cli(command, cwd=anna)
        assert result.code == 4
        assert result.err == "error: this repository has no remote\nhint: `artstore remote add NAME URL` adds one\n"


def test_outside_a_repository_only_clone_and_from_work(cli: Cli, anna: Path, tmp_path: Path) -> None:
    ok(cli("push", cwd=anna))
    (tmp_path / "empty").mkdir()
    for args in (
        ("push",),
        ("pull",),
        ("fetch",),
        ("remote", "ls"),
        ("remote", "allow"),
        ("remote", "add", "x", "../nas"),
    ):
        result = cli(*args, cwd=tmp_path / "empty")
        assert result.code == 4 and "there is no repository in" in result.err, result
    assert "data" in ok(cli("ls", "--from", "../nas", cwd=tmp_path / "empty"))
    assert ok(cli("cat", "--from", "../nas", "data", "f", cwd=tmp_path / "empty")) == "1\n"
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_remotes_of_somebody_elses_repository_are_contacted_once_they_are_allowed(cli: Cli, anna: Path) -> None:
    config = anna / ".artifacts/config"
    os.chown(config, 12345, -1)
    for args in (
        ("push",),
        ("pull",),
        ("fetch",),
        ("ls", "--from", "nas"),
        ("gc", "nas"),
        ("fsck", "nas"),
        ("du", "nas"),
    ):
        result = cli(*args, cwd=anna)
        assert result.code == 6, result
        assert plain(result.err, anna) == (
            "error: this repository belongs to somebody else: its remote 'nas' is ~/nas\n"
            "hint: if you trust that place, `artstore remote allow` lets this repository's remotes be contacted\n"
        )
    allowed = as_json(cli("remote", "allow", "--json", cwd=anna))
    assert allowed == {"allowed": str(anna / ".artifacts")}
    assert cli("push", cwd=anna).code == 0
    assert "may be contacted" in ok(cli("remote", "allow", cwd=anna))


# -- push and pull -------------------------------------------------------------------------------


def test_a_push_a_clone_a_fetch_and_a_pull_say_what_went(cli: Cli, anna: Path) -> None:
    assert ok(cli("push", "--dry-run", cwd=anna)) == "data: would push v0\nwould push 100 B in 3 objects\n"
    assert ok(cli("push", cwd=anna)) == "data: pushed v0\npushed 100 B in 3 objects\n"
    assert ok(cli("push", cwd=anna)) == "up to date with nas\n"
    assert ok(cli("push", "nas", cwd=anna)) == "up to date with nas\n"
    assert (
        ok(cli("clone", "../nas", "../bob", cwd=anna)) == "cloned into ../bob\ndata: got v0\ngot 100 B in 3 objects\n"
    )
    bob = anna.parent / "bob"
    assert ok(cli("fetch", cwd=bob)) == "data: up to date with origin\n"
    save(anna, "2\n")
    save(anna, "p\n", "p/other")
    assert ok(cli("push", "data:v1", cwd=anna)) == "data: pushed v1\npushed 100 B in 3 objects\n"
    assert "p/other: pushed v0" in ok(cli("push", cwd=anna))
    assert ok(cli("fetch", cwd=bob)) == (
        "data: 1 version behind origin\np/other: only at origin; `artstore pull origin p/other` gets it\n"
    )
    assert ok(cli("pull", "origin", "p/other", cwd=bob)).startswith("p/other: pulled v0\n")
    assert ok(cli("pull", cwd=bob)) == "data: pulled v1\npulled 100 B in 3 objects\n"
    assert ok(cli("pull", cwd=bob)) == "up to date with origin\n"
    assert ok(cli("cat", "data:v1", "f", cwd=bob)) == "2\n"


def test_changes_without_versions_are_counted_and_named(cli: Cli, anna: Path, bob: Path) -> None:
    cli("alias", "data:v0", "best", cwd=anna)
    cli("tag", "data:v0", "checked", cwd=anna)
    listed = "  alias 'best' is v0\n  changed the tags of v0\n"
    assert ok(cli("push", cwd=anna)) == f"data: pushed 2 changes\n{listed}"
    assert ok(cli("pull", cwd=bob)) == f"data: pulled 2 changes\n{listed}"


def test_a_colleagues_deletion_and_rename_are_told(cli: Cli, anna: Path, bob: Path) -> None:
    save(anna, "2\n")
    cli("alias", "data:v0", "prod", cwd=anna)
    ok(cli("push", cwd=anna))
    ok(cli("pull", cwd=bob))
    save(anna, "3\n")
    cli("alias", "data:v2", "prod", cwd=anna)
    cli("rm", "data:v0", cwd=anna)
    listed = "  alias 'prod' is v2\n  deleted v0\n"
    assert ok(cli("push", cwd=anna)) == f"data: pushed v2\n{listed}pushed 100 B in 3 objects\n"
    assert ok(cli("pull", cwd=bob)) == f"data: pulled v2\n{listed}pulled 100 B in 3 objects\n"
    cli("mv", "data", "numbers", cwd=anna)
    for command, where in (("push", anna), ("pull", bob)):
        assert ok(cli(command, "--dry-run", cwd=where)) == "data: would become numbers\n"
        assert ok(cli(command, cwd=where)) == "data: is now numbers\n"
        assert ok(cli(command, cwd=where)).startswith("up to date with ")
    cli("mv", "numbers", "p2/numbers", cwd=anna)
    told = json.loads(ok(cli("push", "--json", cwd=anna)))["collections"]
    assert [(one["path"], one["renamed_from"], one["outcome"]) for one in told] == [
        ("local/p2/numbers", "local/uncategorized/numbers", "moved")
    ]
    assert ok(cli("pull", cwd=bob)) == "local/uncategorized/numbers: is now p2/numbers\n"
    cli("rm", "--collection", "p2/numbers", "--force", cwd=anna)
    ok(cli("push", cwd=anna))
    assert "  deleted the artifact\n" in ok(cli("pull", cwd=bob))


@pytest.mark.parametrize("pulls", [True, False])
def test_renames_of_both_sides_that_make_two_artifacts_are_told(cli: Cli, anna: Path, bob: Path, pulls: bool) -> None:
    cli("mv", "data", "hers", cwd=anna)
    ok(cli("push", cwd=anna))
    cli("mv", "data", "his", cwd=bob)
    dry = ok(cli("push", "--dry-run", cwd=bob))
    assert dry == "his: would push v0\n  at origin it was renamed to hers: his and hers would be two artifacts\n"
    if pulls:
        told = ok(cli("pull", cwd=bob))
        assert told == "hers: pulled v0\n  here it was renamed to his: hers and his are two artifacts now\n"
        assert ok(cli("pull", cwd=bob)).startswith("up to date with ")
    (pushed,) = [one for one in json.loads(ok(cli("push", "--json", cwd=bob)))["collections"] if one["versions"]]
    assert (pushed["path"], pushed["renamed_apart"]) == ("local/uncategorized/his", "local/uncategorized/hers")
    assert ok(cli("push", cwd=bob)).startswith("up to date with ")


def test_a_dry_run_after_a_rename_counts_only_what_the_push_would_send(cli: Cli, anna: Path, bob: Path) -> None:
    cli("mv", "data", "numbers", cwd=anna)
    save(anna, "2\n", "numbers")
    dry = ok(cli("push", "--dry-run", cwd=anna))
    assert dry.startswith("data: would become numbers\nnumbers: would push v1\n")
    assert ok(cli("push", cwd=anna)) == dry.replace("would become", "is now").replace("would push", "pushed")
    dry = ok(cli("pull", "--dry-run", cwd=bob))
    assert dry.startswith("data: would become numbers\nnumbers: would pull v1\n")
    assert ok(cli("pull", cwd=bob)) == dry.replace("would become", "is now").replace("would pull", "pulled")


def test_a_registry_is_shown_by_its_name_and_only_where_it_is_not_yet(cli: Cli, anna: Path, bob: Path) -> None:
    ok(cli("registry", "create", "models", cwd=anna))
    assert ok(cli("push", cwd=anna)) == "registry registry-models: pushed\n"
    assert "registry registry-models: only at origin" in ok(cli("fetch", cwd=bob))
    assert ok(cli("pull", cwd=bob)) == "registry registry-models: pulled\n"
    for where in (anna, bob):
        told = ok(cli("fetch", cwd=where))
        assert ".registry" not in told and "only at" not in told
        assert ok(cli("pull", cwd=where)).startswith("up to date with ")
    ok(cli("registry", "create", "others", cwd=anna))
    assert cli("registry", "create", "others", cwd=anna).code == 5, "there is one"


def test_a_dry_run_as_json_says_what_the_real_run_says(cli: Cli, anna: Path, bob: Path) -> None:
    save(anna, "2\n")
    for folder, command, remote in ((anna, "push", "nas"), (bob, "pull", "origin")):
        planned = as_json(cli(command, "--dry-run", "--json", cwd=folder))
        done = as_json(cli(command, "--json", cwd=folder))
        assert planned.pop("dry_run") is True and done.pop("dry_run") is False
        planned.pop("due"), done.pop("due")
        assert planned == done
        assert done == {
            "remote": remote,
            "url": str(anna.parent / "nas"),
            "collections": [
                {
                    "path": "local/uncategorized/data", "outcome": "moved", "versions": ["data:v1"], "changes": 1,
                    "renumbered": [], "declined": [], "told": [], "renamed_from": None,
                    "renamed_apart": None,
                }
            ],
            "objects": 3,
            "bytes": 100,
            "runs": 0,
            "refused_runs": [],
            "unmatched": [],
        }  # fmt: skip
        again = as_json(cli(command, "--json", cwd=folder))
        assert (again["objects"], again["bytes"], again["collections"][0]["outcome"]) == (0, 0, "up to date")


def test_a_refused_push_names_the_pull_that_helps_and_the_pull_tells_old_and_new_numbers(
    cli: Cli, anna: Path, bob: Path
) -> None:
    save(anna, "2\n")
    ok(cli("push", cwd=anna))
    save(bob, "mine\n")
    save(bob, "mine too\n")
    refused = cli("push", cwd=bob)
    assert refused.code == 5
    lines = refused.err.splitlines()
    assert lines[0].startswith("error: ") and lines[0].endswith("data:v1 is another version at the remote than here")
    command = re.fullmatch(r"hint: `artstore (.*)` first: it renumbers yours", lines[1])
    told = as_json(cli("push", "--json", cwd=bob))["collections"][0]
    assert told["outcome"] == "refused" and told["error"]["kind"] == "Conflict" and told["error"]["exit_code"] == 5
    planned = as_json(cli("pull", "--dry-run", "--json", cwd=bob))["collections"][0]
    assert planned["renumbered"] == [{"from": 1, "to": 2}, {"from": 2, "to": 3}]
    shown = ok(cli("pull", "--dry-run", cwd=bob)).splitlines()
    assert shown[:3] == ["data: would pull v1", "  your v1 would become v2", "  your v2 would become v3"]
    assert command is not None
    out = ok(cli(*command[1].split(), cwd=bob))
    assert out.splitlines()[:3] == ["data: pulled v1", "  your v1 is now v2", "  your v2 is now v3"]
    assert ok(cli("push", cwd=bob)).startswith("data: pushed v2, v3\n")
    assert "v1, v2" not in ok(cli("pull", cwd=anna)) and ok(cli("cat", "data:v2", "f", cwd=anna)) == "mine\n"


def test_what_both_changed_is_told_and_is_no_failure(cli: Cli, anna: Path, bob: Path) -> None:
    save(anna, "2\n")
    save(anna, "3\n")
    ok(cli("push", cwd=anna))
    ok(cli("pull", cwd=bob))
    cli("alias", "data:v1", "prod", cwd=anna)
    ok(cli("push", cwd=anna))
    cli("alias", "data:v2", "prod", cwd=bob)
    told = cli("push", cwd=bob)
    assert (told.code, told.out) == (0, "data: pushed 0 changes\n  alias 'prod': theirs stays (v1)\n")
    hint = "hint: `artstore pull origin data` brings what they set; set yours again after it, and push\n"
    assert told.err == hint
    assert ok(cli("push", cwd=bob)) == "up to date with origin\n"
    assert ok(cli("pull", cwd=bob)).startswith("data: pulled")
    assert ok(cli("cat", "data:prod", "f", cwd=bob)) == "2\n"


def test_many_versions_are_summed_up(cli: Cli, anna: Path) -> None:
    with Repository(str(anna / ".artifacts")) as repository:
        for n in range(9):
            make_tree(anna, {"src/f": f"{n}"})
            repository.put(str(anna / "src"), "data")
    first = ok(cli("push", cwd=anna)).splitlines()[0]
    assert re.fullmatch(r"data: pushed v0, v1, v2, v3, v4, v5 and \d more", first), first


def test_a_remote_that_is_not_mounted_is_an_error_and_nothing_is_made_there(cli: Cli, anna: Path, bob: Path) -> None:
    aside = (anna.parent / "nas").rename(anna.parent / "aside")
    (anna.parent / "nas").mkdir()
    for args in (
        ("push",),
        ("pull",),
        ("fetch",),
        ("gc", "origin"),
        ("fsck", "origin"),
        ("du", "origin"),
        ("ls", "--from", "origin"),
    ):
        result = cli(*args, cwd=bob)
        assert result.code == 4 and "an unmounted share looks like this too" in result.err, result
    assert list((anna.parent / "nas").iterdir()) == []
    (anna.parent / "nas").rmdir()
    aside.rename(anna.parent / "nas")
    assert ok(cli("push", cwd=bob)) == "up to date with origin\n"


def test_what_only_a_remote_has_is_got_with_the_command_of_the_hint(cli: Cli, anna: Path, bob: Path) -> None:
    save(anna, "new\n", "fresh")
    ok(cli("push", cwd=anna))
    ok(cli("fetch", cwd=bob))
    missing = cli("get", "fresh", cwd=bob)
    assert (missing.code, missing.err) == (
        4,
        "error: fresh is not here, but at remote 'origin'\nhint: `artstore pull origin fresh` gets it\n",
    )
    ok(cli("pull", "origin", "fresh", cwd=bob))
    assert cli("get", "fresh", cwd=bob).code == 0
    save(anna, "newer\n", "fresh")
    ok(cli("push", cwd=anna))
    ok(cli("config", "core.auto_fetch", "true", cwd=bob))
    assert ok(cli("cat", "fresh:v1", "f", cwd=bob)) == "newer\n"


def test_status_says_how_it_stands_to_the_remote(cli: Cli, anna: Path, bob: Path) -> None:
    save(bob, "mine\n")
    fetched = as_json(cli("fetch", "--json", cwd=bob))
    assert fetched == {
        "remote": "origin",
        "collections": [
            {"collection": "local/uncategorized/data", "remote": "origin", "ahead": 1, "behind": 0, "changes": 0}
        ],
        "only_there": [],
    }
    assert "1 version ahead of origin" in ok(cli("fetch", cwd=bob))


# -- clone ---------------------------------------------------------------------------------------


def test_a_clone_is_called_after_its_place_and_says_what_came(cli: Cli, anna: Path, tmp_path: Path) -> None:
    ok(cli("push", cwd=anna))
    (tmp_path / "in").mkdir()
    done = as_json(cli("clone", "../nas", "--json", cwd=tmp_path / "in"))
    assert (done["remote"], done["objects"], done["url"]) == ("origin", 3, str(tmp_path / "nas"))
    assert ok(cli("clone", str(anna / ".artifacts"), cwd=tmp_path / "in")).startswith("cloned into anna\n")
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["anna", "nas"]
    assert ok(cli("clone", "../nas", cwd=tmp_path / "in")) == "cloned into nas\nup to date with origin\n"
    for name in ("anna", "nas"):
        check(tmp_path / f"in/{name}/.artifacts")


def test_a_clone_without_bytes_fetches_what_is_read(cli: Cli, anna: Path, tmp_path: Path) -> None:
    save(anna, "2\n")
    ok(cli("push", cwd=anna))
    ok(cli("clone", "nas", "partial", "--no-blobs", cwd=tmp_path))
    folder = tmp_path / "partial"
    assert "partial" in ok(cli("remote", "ls", cwd=folder))
    assert as_json(cli("remote", "ls", "--json", cwd=folder))[0]["partial"] is True
    assert "2 blobs stored only at a remote, as in any partial clone" in ok(cli("fsck", cwd=folder))
    assert ok(cli("cat", "data:v1", "f", cwd=folder)) == "2\n"
    assert "1 blob stored only at a remote" in ok(cli("fsck", cwd=folder))
    assert cli("get", "data:v0", cwd=folder).code == 0
    assert "only at a remote" not in ok(cli("fsck", cwd=folder))
    assert ok(cli("push", cwd=folder)) == "up to date with origin\n"
    ok(cli("verify", "data:v0", cwd=folder))


def test_the_bytes_of_chosen_files_come_with_a_clone(cli: Cli, anna: Path, tmp_path: Path) -> None:
    make_tree(anna, {"src/sub/g.txt": "g", "src/h.bin": "h"})
    save(anna, "2\n")
    ok(cli("push", "data:v1", cwd=anna))
    for name, options, absent in (
        ("prefix", ("--path-prefix", "sub/"), 2),
        ("include", ("--include", "*.txt", "--include", "*.bin"), 1),
        ("exclude", ("--exclude", "*.bin"), 1),
    ):
        ok(cli("clone", "nas", name, *options, cwd=tmp_path))
        assert f"{absent} blob" in ok(cli("fsck", cwd=tmp_path / name)), name


def test_globs_that_match_nothing_in_all_that_is_pulled_are_said(cli: Cli, anna: Path, tmp_path: Path) -> None:
    ok(cli("push", cwd=anna))
    globs = ("--include", "f", "--exclude", "nope", "--exclude", "sub/*")
    told = ["warning: --exclude 'nope' matches nothing", "warning: --exclude 'sub/*' matches nothing"]
    assert cli("clone", "nas", "some", *globs).err.splitlines() == told
    quiet = cli("pull", *globs, cwd=tmp_path / "some")
    assert (quiet.code, quiet.err) == (0, ""), "nothing came that they could match"
    make_tree(anna, {"src/sub/g.txt": "g"})
    save(anna, "2\n")
    ok(cli("push", cwd=anna))
    assert cli("pull", *globs, "--dry-run", cwd=tmp_path / "some").err == ""
    assert cli("pull", *globs, cwd=tmp_path / "some").err.splitlines() == told[:1]
    as_json = cli("clone", "nas", "again", *globs, "--json")
    assert json.loads(as_json.out)["unmatched"] == ["nope"] and as_json.err == ""


# -- --from, gc, fsck, du ------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["nas", "../nas", "absolute"])
def test_what_is_at_a_remote_or_path_is_looked_at_without_being_pulled(cli: Cli, anna: Path, place: str) -> None:
    ok(cli("push", cwd=anna))
    with Repository(str(anna.parent / "nas")) as there:
        make_tree(anna, {"theirs/f": "theirs\n"})
        there.put(str(anna / "theirs"), "theirs")
    place = str(anna.parent / "nas") if place == "absolute" else place
    before = sorted(p.name for p in (anna / ".artifacts/refs/local/uncategorized").iterdir())
    listed = [line.split()[0] for line in ok(cli("ls", "--from", place, cwd=anna)).splitlines()]
    assert sorted(listed) == ["NAME", "data", "theirs"]
    assert "f" in ok(cli("ls", "--from", place, "theirs", cwd=anna))
    assert ok(cli("cat", "--from", place, "theirs", "f", cwd=anna)) == "theirs\n"
    assert "local/uncategorized/theirs:v0" in ok(cli("show", "--from", place, "theirs", cwd=anna))
    cli("get", "--from", place, "theirs", cwd=anna)
    assert (anna / "artifacts/theirs-v0/f").read_text() == "theirs\n"
    assert sorted(p.name for p in (anna / ".artifacts/refs/local/uncategorized").iterdir()) == before
    assert cli("show", "theirs", cwd=anna).code == 4


def test_a_remote_is_checked_measured_and_collected_from_here(cli: Cli, anna: Path) -> None:
    save(anna, "x" * 5000)
    ok(cli("push", cwd=anna))
    assert ok(cli("fsck", "nas", cwd=anna)).startswith("no problems found: 2 versions, 6 objects")
    assert as_json(cli("du", "nas", "--json", cwd=anna))["versions"] == 2
    assert "2 versions: " in ok(cli("du", "nas", cwd=anna))
    cli("rm", "data:v1", cwd=anna)
    ok(cli("push", cwd=anna))
    planned = as_json(cli("gc", "nas", "--now", "--dry-run", "--json", cwd=anna))
    done = as_json(cli("gc", "nas", "--now", "--json", cwd=anna))
    assert planned["freed_bytes"] == done["freed_bytes"] > 5000 and done["versions"] == 1
    assert as_json(cli("du", "nas", "--json", cwd=anna))["versions"] == 1
    assert as_json(cli("fsck", "nas", "--json", cwd=anna))["ok"] is True
    assert ok(cli("gc", "nas", "--now", cwd=anna)).startswith("freed 0 B")


def test_damage_at_a_remote_is_found_and_the_next_push_heals_it(cli: Cli, anna: Path) -> None:
    big = b"big" * (1 << 19)
    make_tree(anna, {"src/big": big})
    save(anna, "2\n")
    ok(cli("push", cwd=anna))
    (blob,) = (anna.parent / "nas/objects/blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(b"X" + big[1:])
    found = cli("fsck", "nas", cwd=anna)
    assert found.code == 7 and "problem: blob" in found.out, found
    save(anna, "3\n")
    assert "data: pushed v2" in ok(cli("push", cwd=anna))
    for left in (anna.parent / "nas/bad").iterdir():
        left.unlink()
    assert cli("get", "--from", "nas", "data:v2", cwd=anna).code == 0


def test_every_command_of_remotes_has_help(cli: Cli, tmp_path: Path) -> None:
    for args in (
        ("remote",),
        ("remote", "add"),
        ("remote", "ls"),
        ("remote", "rm"),
        ("remote", "allow"),
        ("push",),
        ("pull",),
        ("fetch",),
        ("clone",),
    ):
        assert ok(cli(*args, "--help")).startswith(f"Usage: artstore {' '.join(args)} "), args
