"""Entries that a script describes for a manifest, by W&B's ways."""

from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.api.described_entry import ArtifactManifestEntry
from artstore.errors import ArtifactFinalizedError
from tests.support.artifacts import draft, log


def test_a_described_file_is_added_under_its_path(here: Path) -> None:
    Path("local.txt").write_text("hello")
    artifact = wandb.Artifact("data", "dataset")
    entry = ArtifactManifestEntry(path="a/b.txt", digest="123", local_path="local.txt")
    assert entry.size == 5
    artifact.manifest.add_entry(entry)
    Path("local.txt").write_text("other")
    with pytest.raises(ValueError, match="a/b.txt"):
        artifact.manifest.add_entry(entry)
    logged = log(artifact)
    assert Path(logged.get_entry("a/b.txt").download()).read_text() == "hello"
    assert isinstance(logged.get_entry("a/b.txt"), ArtifactManifestEntry)


def test_a_described_uri_is_a_reference_that_was_not_asked(here: Path) -> None:
    artifact = wandb.Artifact("data", "dataset")
    artifact.manifest.add_entry(ArtifactManifestEntry(Path("a/b.bin"), "etag", ref="s3://no-such-bucket/b", size=3))
    entry = log(artifact).get_entry("a/b.bin")
    assert (entry.ref, entry.digest_algorithm()) == ("s3://no-such-bucket/b", "URI")


def test_a_described_entry_keeps_its_extra(here: Path) -> None:
    Path("local.txt").write_text("hello")
    artifact = wandb.Artifact("data", "dataset")
    for path, content in (("file", {"local_path": "local.txt"}), ("away", {"ref": "s3://no-such-bucket/b"})):
        artifact.manifest.add_entry(ArtifactManifestEntry(path, "", extra={"etag": "abc", "k": [1]}, **content))
    logged = log(artifact)
    assert logged.get_entry("file").extra == logged.get_entry("away").extra == {"etag": "abc", "k": [1]}


@pytest.mark.parametrize("path", ["../a", "/a", "C:\\a", "a/../b", ""])
def test_a_described_entry_stays_below_the_artifact(here: Path, path: str) -> None:
    with pytest.raises(ValueError, match="Invalid artifact path"):
        draft().manifest.add_entry(ArtifactManifestEntry(path, digest="d"))


def test_a_described_entry_has_content(here: Path) -> None:
    with pytest.raises(ValueError, match="entry 'a' has no content: it needs local_path or ref"):
        draft().manifest.add_entry(ArtifactManifestEntry("a", digest="d"))
    with pytest.raises(FileNotFoundError):
        ArtifactManifestEntry("a", digest="d", local_path="absent")
    with pytest.raises(ArtifactFinalizedError, match="'Artifact.add_entry' used on logged artifact"):
        log(draft()).manifest.add_entry(ArtifactManifestEntry("a", digest="d", ref="x://y"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ref": "r", "size": 1, "extra": {"a": 1}}, "ref='r', size=1, extra={'a': 1}, skip_cache=False"),
        ({"birth_artifact_id": "i", "local_path": "l", "size": 0}, "birth_artifact_id='i', size=0, local_path='l', skip_cache=False"),
        ({}, "skip_cache=False"),
    ],
)  # fmt: skip
def test_a_described_entry_tells_what_was_given(given: dict[str, Any], told: str) -> None:
    assert repr(ArtifactManifestEntry("p", "d", **given)) == f"ArtifactManifestEntry(path='p', digest='d', {told})"


def test_a_finalized_artifact_says_so_before_it_looks_at_a_file(here: Path) -> None:
    artifact = draft()
    artifact.finalize()
    for change in (
        lambda: artifact.add_file("absent"), lambda: artifact.add_dir("absent"), lambda: artifact.remove("absent"),
        lambda: artifact.add_reference("file:///absent"), lambda: artifact.new_file("a").__enter__(),
    ):  # fmt: skip
        with pytest.raises(ArtifactFinalizedError, match="Can't modify finalized artifact"):
            change()
