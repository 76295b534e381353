"""Artifacts after they are logged: getting files back, comparing, editing what is said of them, and letting go of them."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import (
    ArtifactFinalizedError,
    ArtifactNotLoggedError,
    ArtstoreError,
    FilesDiffer,
    NoEntry,
    NotFound,
    Refused,
)
from tests.support.artifacts import again, draft
from tests.support.artifacts import log_files as log
from tests.support.folders import make_tree, snapshot, touched

MIB = 1 << 20
FILES: dict[str, str | bytes | None] = {
    "bike.png": "b", "images/bikes/1.png": "1", "images/bikes/2.jpg": "22", "images/bib.png": "3", "empty": None,
    "large": b"x" * (2 * MIB), "run.sh*": "#!",
}  # fmt: skip


# -- what it tells of itself ---------------------------------------------------------------------


def test_a_logged_artifact_tells_its_names_sizes_and_dates(here: Path) -> None:
    with wandb.init(project="p", entity="e") as run:
        artifact = wandb.Artifact("data", "dataset", "about", {"k": 1})
        artifact.add_dir(make_tree(here / "in", FILES))
        assert run.log_artifact(artifact) is artifact and artifact.wait(timeout=1) is artifact
    assert (artifact.name, artifact.version, artifact.type) == ("data:v0", "v0", "dataset")
    assert (artifact.entity, artifact.project, artifact.qualified_name) == ("e", "p", "e/p/data:v0")
    assert (artifact.source_name, artifact.source_version, artifact.source_entity) == ("data:v0", "v0", "e")
    assert (artifact.source_project, artifact.source_qualified_name) == ("p", "e/p/data:v0")
    assert (artifact.collection.name, artifact.source_collection.qualified_name) == ("data", "e/p/data")
    assert (artifact.is_link, artifact.linked_artifacts, artifact.source_artifact) == (False, [], artifact)
    assert (artifact.state, artifact.is_draft(), artifact.file_count) == ("COMMITTED", False, 6)
    assert artifact.size == sum(len(content) for content in FILES.values() if content is not None)
    assert len(artifact.digest) == len(artifact.id or "") == 64 and artifact.commit_hash == artifact.id
    created, updated = (datetime.datetime.fromisoformat(at) for at in (artifact.created_at, artifact.updated_at))
    now = datetime.datetime.now(datetime.UTC)
    assert now - datetime.timedelta(minutes=1) < created <= updated + datetime.timedelta(seconds=1)
    assert created.utcoffset() == updated.utcoffset() == datetime.timedelta(0) and updated <= now
    assert again("e/p/data") == artifact != again("e/p/data").new_draft()
    assert repr(artifact) == "<Artifact e/p/data:v0 (dataset)>" and "e/p/data:v0" in artifact._repr_html_()


def test_the_name_is_looked_up_by_id_at_each_access(here: Path) -> None:
    artifact = log({"f": "1"})
    with wandb.Repository(".artifacts") as repository:
        repository.rename("data", "other/renamed")
    assert artifact.name == "renamed:v0" and artifact.qualified_name == "local/other/renamed:v0"
    assert (artifact.project, artifact.collection.name, artifact.source_name) == ("other", "renamed", "renamed:v0")
    assert Path(artifact.download()).name == "renamed-v0"


def test_saving_equal_content_again_makes_no_version_and_adds_what_is_said(here: Path) -> None:
    first = log({"f": "1"}, metadata={"a": 1, "b": 1}, aliases=["x"])
    second = log({"f": "1"}, metadata={"b": 2}, aliases=["y"], tags=["t"], description="d")
    assert second == first and second.version == "v0"
    assert (second.aliases, second.tags, second.description) == (["latest", "x", "y"], ["t"], "d")
    assert second.metadata == {"a": 1, "b": 2}


def test_save_logs_through_the_active_run_else_through_one_of_its_own(here: Path) -> None:
    own, active = wandb.Artifact("own"), wandb.Artifact("active")
    own.save(project="p")
    made = own.logged_by()
    assert made is not None and (made.job_type, made.state, own.qualified_name) == (
        "auto",
        "finished",
        "local/p/own:v0",
    )
    with wandb.init(project="q") as run:
        active.save(project="p")
    assert active.qualified_name == "local/q/active:v0" and active.logged_by() == wandb.Api().run(f"q/{run.id}")


# -- files ---------------------------------------------------------------------------------------


def test_files_entries_and_manifest_list_what_there_is(here: Path) -> None:
    artifact = log(FILES)
    names = ["bike.png", "images/bib.png", "images/bikes/1.png", "images/bikes/2.jpg", "large", "run.sh"]
    files = artifact.files()
    assert ([file.path for file in files], [file.name for file in files], len(files)) == (names, names, 6)
    assert (files[0].path, files[-1].path, [file.path for file in files[1:3]]) == (names[0], names[-1], names[1:3])
    assert [file.size for file in artifact.files(names=["large", "bike.png"])] == [2 * MIB, 1]
    entries = artifact.manifest.entries
    assert (list(entries), len(entries), [entry.path for entry in entries.values()]) == (names, 6, names)
    assert entries["large"] == artifact.get_entry("large") == dict(entries.items())["large"]
    assert [entry.path for entry in artifact.manifest.get_entries_in_directory("images/bikes")] == names[2:4]


@pytest.mark.parametrize("path", ["nothing", "images", "bike.png/", "images/bikes", "../x", "", "/bike.png"])
def test_what_is_no_file_of_the_manifest_is_not_in_it(here: Path, path: str) -> None:
    entries = log(FILES).manifest.entries
    assert path not in entries and entries.get(path) is None
    with pytest.raises(KeyError):
        entries[path]


def test_an_absent_entry_is_a_key_error_with_near_names(here: Path) -> None:
    artifact = log(FILES)
    for path, hint in {
        "biek.png": "did you mean 'bike.png'?",
        "images/bikes/3.png": "images/bikes/1.png'",
        "images": None,
    }.items():
        with pytest.raises(KeyError) as error:
            artifact.get_entry(path)
        assert isinstance(error.value, NoEntry) and f"'{path}'" in str(error.value)
        assert hint is None or hint in (error.value.hint or "")


def test_an_entry_downloads_alone_and_opens_for_reading(here: Path) -> None:
    artifact = log(FILES)
    entry = artifact.get_entry("images/bikes/2.jpg")
    assert (entry.size, entry.ref, entry.parent_artifact()) == (2, None, artifact)
    assert entry.download("out") == "out/images/bikes/2.jpg" and list(snapshot(here / "out")) == ["images", "images/bikes", "images/bikes/2.jpg"]  # fmt: skip
    assert Path(entry.download()) == here / "artifacts/data-v0/images/bikes/2.jpg"
    with entry.open() as binary, entry.open("r") as text, artifact.get_entry("large").open() as large:
        assert (binary.read(), text.read(), large.read()) == (b"22", "22", b"x" * (2 * MIB))
    with pytest.raises(ValueError, match="an entry can only be read: mode 'w'"):
        entry.open("w")
    with pytest.raises(
        ValueError,
        match="Only reference entries support ref_target\\(\\): the bytes of 'images/bikes/2.jpg' are stored here",
    ):
        entry.ref_target()


def test_file_gets_the_only_file_and_is_refused_where_there_is_not_one(here: Path) -> None:
    assert Path(log({"sub/f": "1"}, "one").file("out")).read_text() == "1"
    assert Path(again("one").file()) == here / "artifacts/one-v0/sub/f"
    for name, files in {"two": {"a": "1", "b": "2"}, "none": {}}.items():
        with pytest.raises(ValueError, match=f"{name}:v0 has {len(files)} files, not one") as error:
            log({**files}, name).file()
        assert "use download()" in (error.value.hint or "")  # type: ignore[attr-defined]


# -- download, checkout, verify ------------------------------------------------------------------


def test_download_puts_everything_where_it_is_told_or_below_artifacts(here: Path) -> None:
    artifact, tree = log(FILES), snapshot(make_tree(here / "expected", FILES))
    assert artifact.download("out") == "out" and artifact.download(here / "path") == str(here / "path")
    assert artifact.download() == str(here / "artifacts/data-v0")
    for place in ("out", "path", "artifacts/data-v0"):
        assert snapshot(here / place) == tree


def test_download_leaves_right_files_mends_wrong_ones_and_leaves_others_alone(here: Path) -> None:
    artifact = log(FILES)
    out = Path(artifact.download("out"))
    before = {path: touched(out / path) for path in ("images/bib.png", "large")}
    make_tree(out, {"bike.png": "edited", "own": "mine", "images/own": "mine", ".git/config": "mine"})
    (out / "run.sh").unlink()
    (out / "images/bikes/1.png").chmod(0o755)
    artifact.download("out")
    found = snapshot(out)
    assert {path: touched(out / path) for path in before} == before, "not written, not even touched"
    assert {path: found.pop(path)[1] for path in ("own", "images/own", ".git/config")} == dict.fromkeys(("own", "images/own", ".git/config"), b"mine")  # fmt: skip
    assert found.pop(".git", "absent") is None and found == snapshot(make_tree(here / "expected", FILES))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"path_prefix": "bike.png"}, ["bike.png"]),
        ({"path_prefix": "images/bikes/"}, ["images/bikes/1.png", "images/bikes/2.jpg"]),
        ({"path_prefix": "images/bi"}, ["images/bib.png", "images/bikes/1.png", "images/bikes/2.jpg"]),
        ({"path_prefix": "b"}, ["bike.png"]),
        ({"path_prefix": Path("images")}, ["images/bib.png", "images/bikes/1.png", "images/bikes/2.jpg"]),
        ({"include": "*.png"}, ["bike.png", "images/bib.png", "images/bikes/1.png"]),
        ({"include": ["*.png", "*.sh"], "exclude": "images"}, ["bike.png", "run.sh"]),
        ({"exclude": ["large", "*.png"]}, ["images/bikes/2.jpg", "run.sh"]),
        ({"path_prefix": "images", "include": ["*.jpg"]}, ["images/bikes/2.jpg"]),
    ],
)
def test_path_prefix_include_and_exclude_choose_files(here: Path, options: dict[str, Any], expected: list[str]) -> None:
    log(FILES).download("out", **options)
    assert [path for path, found in snapshot(here / "out").items() if found is not None] == expected


@pytest.mark.parametrize("options", [{"path_prefix": "image/"}, {"path_prefix": "Bike"}, {"include": ["*.gif"]}])
def test_a_choice_that_matches_nothing_is_an_error_and_makes_nothing(here: Path, options: dict[str, Any]) -> None:
    artifact = log(FILES)
    with pytest.raises(NotFound, match="no file matches the ") as error:
        artifact.download("out", **options)
    assert isinstance(error.value, ValueError) and "lists what there is" in (error.value.hint or "")
    assert not (here / "out").exists()


@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_large_files_are_copied_or_linked_and_small_ones_copied(here: Path, link: Any) -> None:
    out = Path(log(FILES).download("out", link=link))
    large = out / "large"
    assert (large.is_symlink(), large.stat().st_nlink) == (link == "symlink", 2 if link == "hardlink" else 1)
    assert not (out / "bike.png").is_symlink() and (out / "bike.png").stat().st_nlink == 1
    assert snapshot(out) == snapshot(make_tree(here / "expected", FILES))


def test_a_link_of_another_kind_is_refused(here: Path) -> None:
    with pytest.raises(ValueError, match="'reflink'.*copy.*hardlink.*symlink"):
        log(FILES).download("out", link="reflink")  # type: ignore[arg-type]
    assert not (here / "out").exists()


def test_a_repository_is_never_written_to_and_only_download_takes_the_folder_that_holds_one(here: Path) -> None:
    artifact = log({"f": "1"})
    for get, root in (("checkout", "."), ("checkout", ".artifacts"), ("download", ".artifacts/objects")):
        with pytest.raises(Refused, match="(holds a|is in the) repository; (other )?files (can't|are not)") as error:
            getattr(artifact, get)(root)
        assert "--root" in (error.value.hint or "")
    assert not (here / "f").exists() and artifact.download(".") == "." and (here / "f").read_text() == "1"


@pytest.mark.parametrize("get", ["download", "checkout"])
def test_nothing_is_written_or_removed_through_a_symlink(here: Path, get: str) -> None:
    artifact = log({"sub/f": "1"})
    outside = make_tree(here / "outside", {"f": "mine", "other": "mine"})
    before = snapshot(outside)
    make_tree(here / "out", {})
    (here / "out/sub").symlink_to(outside)
    try:
        getattr(artifact, get)("out")
    except ArtstoreError:
        assert (here / "out/sub").is_symlink()
    else:
        assert (here / "out/sub/f").read_text() == "1" and not (here / "out/sub").is_symlink()
    assert snapshot(outside) == before


def test_checkout_removes_what_is_not_in_the_artifact_but_git_folders(here: Path) -> None:
    artifact = log(FILES)
    make_tree(
        here / "out", {"bike.png": "edited", "extra": "1", "gone/x": "2", "images/extra": "3", ".git/config": "4"}
    )
    assert artifact.checkout("out") == "out"
    found = snapshot(here / "out")
    assert found.pop(".git/config") == (False, b"4") and found.pop(".git", "absent") is None
    assert found == snapshot(make_tree(here / "expected", FILES))
    assert artifact.checkout() == str(here / "artifacts/data")


def test_verify_lists_all_that_is_missing_changed_and_extra(here: Path) -> None:
    artifact = log(FILES)
    out = Path(artifact.download("out"))
    assert artifact.verify("out").ok
    for path in ("bike.png", "images/bib.png"):
        (out / path).unlink()
    make_tree(out, {"images/bikes/1.png": "9", "large": b"y" * (2 * MIB), "extra": "1", "images/extra": "2"})
    (out / "run.sh").chmod(0o644)
    with pytest.raises(FilesDiffer) as error:
        artifact.verify("out")
    assert (error.value.missing, error.value.extra) == (["bike.png", "images/bib.png"], ["extra", "images/extra"])
    assert error.value.changed == ["images/bikes/1.png", "large", "run.sh"] and isinstance(error.value, ValueError)
    assert str(error.value) == (
        "the folder differs from data:v0: missing: bike.png, images/bib.png; changed: images/bikes/1.png, large, run.sh; "
        "extra: extra, images/extra"
    )
    assert "`download()` mends" in (error.value.hint or "")
    artifact.checkout("out")
    assert artifact.verify("out").files == 6
    with pytest.raises(NotFound, match="there is no folder nowhere"):
        artifact.verify("nowhere")


# -- status --------------------------------------------------------------------------------------

LOGGED_ONLY = [
    "entity", "project", "qualified_name", "version", "collection", "aliases", "tags", "commit_hash", "file_count",
    "created_at", "updated_at", "url", "history_step", "linked_artifacts", "source_artifact", "source_version",
    "source_entity", "source_project", "source_qualified_name", "source_collection",
]  # fmt: skip
CALLS: dict[str, Callable[[wandb.Artifact], object]] = {
    "download": lambda a: a.download(), "checkout": lambda a: a.checkout(), "verify": lambda a: a.verify(),
    "file": lambda a: a.file(), "files": lambda a: a.files(), "wait": lambda a: a.wait(), "get": lambda a: a.get("f"),
    "delete": lambda a: a.delete(), "logged_by": lambda a: a.logged_by(), "used_by": lambda a: a.used_by(),
    "new_draft": lambda a: a.new_draft(), "diff": lambda a: a.diff(a), "aliases": lambda a: setattr(a, "aliases", ["x"]),
    "tags": lambda a: setattr(a, "tags", ["x"]),
}  # fmt: skip


@pytest.mark.parametrize("member", LOGGED_ONLY)
def test_what_only_a_logged_artifact_has_a_draft_seems_not_to_have(here: Path, member: str) -> None:
    draft, logged = wandb.Artifact("draft"), log({"f": "1"})
    assert not hasattr(draft, member) and getattr(draft, member, "default") == "default" and hasattr(logged, member)
    with pytest.raises(
        ArtifactNotLoggedError, match="'Artifact.[a-z_]+' used prior to logging artifact 'draft'"
    ) as error:
        getattr(draft, member)
    assert isinstance(error.value, AttributeError) and isinstance(error.value, ValueError)
    assert f"'Artifact.{member}'" in str(error.value), "the error names the member that was asked for"
    assert error.value.hint == "log it first: run.log_artifact(artifact), or artifact.save()"


@pytest.mark.parametrize("call", CALLS)
def test_what_needs_a_logged_artifact_says_so_of_a_draft(here: Path, call: str) -> None:
    with pytest.raises(
        ArtifactNotLoggedError, match=f"'Artifact.{call}' used prior to logging artifact 'data'"
    ) as error:
        CALLS[call](wandb.Artifact("data"))
    assert isinstance(error.value, AttributeError) and "log it first" in (error.value.hint or "")


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.add_file("in/f"), lambda a: a.add_dir("in"), lambda a: a.new_file("g").__enter__(),
        lambda a: a.remove("f"), lambda a: a.add(object(), "g"), lambda a: a.__setitem__("g", object()),
    ],
    ids=["add_file", "add_dir", "new_file", "remove", "add", "setitem"],
)  # fmt: skip
def test_the_files_of_a_logged_artifact_never_change(here: Path, call: Callable[[wandb.Artifact], object]) -> None:
    artifact = log({"f": "1"})
    make_tree(here / "in", {"f": "2"})
    with pytest.raises(ArtifactFinalizedError, match="'Artifact.[a-z_]+' used on logged artifact 'data:v0'") as error:
        call(artifact)
    assert isinstance(error.value, AttributeError) and "artifact.new_draft()" in (error.value.hint or "")
    assert again().digest == artifact.digest and again().version == "v0"


def test_equal_artifacts_have_one_hash_through_a_log_and_a_rename(here: Path) -> None:
    made = draft()
    noted = {made: "noted"}
    with wandb.init() as run:
        run.log_artifact(made)
    assert noted[made] == "noted"
    with wandb.Repository(".artifacts") as repository:
        repository.rename("data", "other/renamed")
    found = wandb.Api().artifact("other/renamed")
    assert made == found and hash(made) == hash(found) and noted[found] == "noted" and len({made, found}) == 1
    with wandb.Repository(".artifacts") as repository:
        repository.copy("other/renamed", "copied")
    assert wandb.Api().artifact("copied") != made
