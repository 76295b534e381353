"""References to entries of other versions: they share bytes and say where they are from."""

import os
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import (
    ArtstoreError,
    Conflict,
)
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log, log_files, paths
from tests.support.checks import check
from tests.support.commands import Cli
from tests.support.folders import make_tree
from tests.support.references import PLAIN, blobs, files, logged, referring
from tests.support.web import MIB


def source_entry(name: str = "source", path: str = "sub/big") -> Any:
    return log_files({path: b"x" * 2 * MIB, "own": "1"}, name).get_entry(path)


@pytest.mark.parametrize("by", ["entry", "url", "add"])
def test_an_entry_of_another_version_shares_its_bytes_and_says_where_it_is_from(here: Path, by: str) -> None:
    entry = source_entry()
    before = blobs(here / ".artifacts")
    artifact = wandb.Artifact("collage")
    if by == "add":
        artifact.add(entry, "x/big")
    else:
        artifact.add_reference(entry if by == "entry" else entry.ref_url(), "x/big")
    artifact.add_reference(entry) if by == "entry" else artifact.add_reference(entry.ref_url())
    log(artifact)
    found = again("collage").get_entry("x/big")
    assert (found.digest, found.size) == (entry.digest, 2 * MIB) and paths(artifact) == ["big", "x/big"]
    assert found.ref == found.ref_target() == entry.ref_url() and found.ref_url() != entry.ref_url()
    assert blobs(here / ".artifacts") - before < 5000
    assert files(artifact.download("out")) == {"big": b"x" * 2 * MIB, "x/big": b"x" * 2 * MIB}
    plain = log_files({"x/big": b"x" * 2 * MIB, "big": b"x" * 2 * MIB}, "plain")
    assert plain.digest == artifact.digest


def test_an_entry_outlives_the_version_that_it_is_from(here: Path, cli: Cli) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry)
    log(artifact)
    url = entry.ref_url()
    again("source").delete(delete_aliases=True)
    done = cli("gc", "--now", cwd=here)
    assert done.code == 0, done
    kept = again("collage").get_entry("big")
    assert kept.ref == url and files(again("collage").download("out")) == {"big": b"x" * 2 * MIB}
    with pytest.raises(ArtstoreError):
        referring().add_reference(url)


def test_where_an_entry_is_from_travels_and_is_kept_by_the_next_version(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "big")
    log(artifact)
    url = entry.ref_url()
    changed = again("collage").new_draft()
    with changed.new_file("more") as file:
        file.write("more")
    assert changed.get_entry("big").ref == url
    assert log(changed).version == "v1"
    with Repository(".artifacts") as repository:
        repository.remotes.add("origin", str(here / "remote"), make=True)
        repository.push()
    clone, _ = Repository.clone(str(here / "remote"), str(here / "clone/.artifacts"))
    with clone:
        for spec in ("collage:v0", "collage:v1"):
            origins = clone.lookup.origins(clone.find(spec))
            assert {path: (place["name"], place["path"], place["id"]) for path, place in origins.items()} == {
                "big": ("source", "sub/big", again("source").id)
            }
    check(here / "clone/.artifacts")


def test_what_replaces_an_entry_in_a_draft_is_not_said_to_be_from_elsewhere(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "big")
    artifact.remove("big")
    with artifact.new_file("big") as file:
        file.write("my own")
    assert artifact.get_entry("big").ref is None
    log(artifact)
    assert again("collage").get_entry("big").ref is None


def test_what_replaces_an_entry_in_the_next_version_is_not_said_to_be_from_elsewhere(here: Path) -> None:
    entry = source_entry()
    artifact = wandb.Artifact("collage")
    artifact.add_reference(entry, "x/big")
    log(artifact)
    changed = again("collage").new_draft()
    with changed.new_file("x/big", mode="w") as file:
        file.write("my own")
    log(changed)
    assert again("collage").get_entry("x/big").ref is None


@pytest.mark.parametrize("path", ["a b@c:d.txt", "ü/ß%20.txt", "n\nl", os.fsdecode(b"\xff/\xfe"), "q?x#y"])
def test_ref_url_names_an_entry_whatever_its_path_is(here: Path, path: str) -> None:
    entry = log_files({path: "1"}, "my source").get_entry(path)
    artifact = referring(entry.ref_url())
    (found,) = artifact.manifest.entries.values()
    assert entry.ref_url().isascii() and found.digest == entry.digest and found.ref == entry.ref_url()


def test_an_entry_that_is_a_reference_is_referred_to_where_its_bytes_are(here: Path) -> None:
    source = make_tree(here / "in", PLAIN)
    entry = logged(source.as_uri()).get_entry("sub/b")
    artifact = referring(entry.ref_url(), name="collage")
    artifact.add_reference(entry, "again")
    assert {path: found.ref for path, found in artifact.manifest.entries.items()} == {"again": entry.ref, "b": entry.ref}  # fmt: skip
    assert files(log(artifact).download("out")) == {"again": b"22", "b": b"22"}


def test_an_entry_of_a_draft_or_of_nothing_is_refused(here: Path) -> None:
    first, other = draft(), draft("other")
    with pytest.raises(ArtstoreError, match="before artifact 'data' is logged"):
        other.add_reference(first.get_entry("f"))
    url = log(first).get_entry("f").ref_url()
    for wrong in (url + "x", url.replace("data@", "gone@"), "artstore-artifact://a/b", url.partition("@")[0]):
        with pytest.raises(ArtstoreError):
            other.add_reference(wrong)
    assert paths(other) == ["f"]


def test_an_entry_whose_name_is_taken_is_refused_and_leaves_what_is_there(here: Path) -> None:
    entry = source_entry()
    artifact = draft()
    with pytest.raises(Conflict):
        artifact.add_reference(entry, "f")
    assert artifact.get_entry("f").ref is None and artifact.get_entry("f").size == 1


def test_add_with_overwrite_puts_an_entry_where_something_else_was(here: Path) -> None:
    entry = source_entry()
    artifact = draft()
    artifact.add(entry, "f", overwrite=True)
    assert artifact.get_entry("f").ref == entry.ref_url()
