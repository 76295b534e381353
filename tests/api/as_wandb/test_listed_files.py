"""Files and entries as W&B's scripts look at them: `files()`, the manifest, references to other artifacts."""

from pathlib import Path

import fsspec
import pytest

import artstore as wandb
from artstore.errors import ArtifactFinalizedError, ArtifactNotLoggedError, Conflict, InvalidValue, NotFound
from tests.support.artifacts import draft, log, log_files, paths, write
from tests.support.links import linked


def test_a_listed_file_opens_its_download_and_replaces_nothing_unless_it_is_told(here: Path) -> None:
    (file,) = log_files({"sub/f": "one"}).files()
    with file.download() as text:
        assert text.read() == "one" and text.name == "./sub/f"
    (here / "sub/f").write_text("mine")
    with pytest.raises(ValueError, match="File already exists, pass replace=True to overwrite.*sub/f"):
        file.download()
    with file.download(exist_ok=True) as text:
        assert text.read() == "mine"
    with file.download(".", replace=True) as text, file.download("out") as other:
        assert text.read() == other.read() == "one"


def test_a_listed_file_tells_what_it_is(here: Path) -> None:
    source = here / "labels.csv"
    source.write_text("a,b")
    artifact = draft("data", "1")
    artifact.add_file(str(source))
    artifact.add_reference("https://example.org/x", "away", checksum=False)
    away, f, csv = log(artifact).files()
    assert (csv.name, csv.size, csv.mimetype) == ("labels.csv", 3, "text/csv")
    assert f.mimetype == "application/octet-stream"
    assert csv.id == f"{artifact.id}/labels.csv" and csv.updated_at == artifact.created_at
    assert csv.md5 == "s0Xh3AnyD9796kafCRZ4kg==" and repr(csv) == "<File labels.csv (text/csv) 3 B>"
    assert csv.path_uri == "" and csv.url == csv.direct_url == "artstore://local/uncategorized/data:v0/labels.csv"
    with fsspec.open(csv.url) as opened:
        assert opened.read() == b"a,b"
    assert (away.url, away.path_uri, away.size) == ("https://example.org/x", "https://example.org/x", 0)


def test_files_lists_the_names_that_are_there_in_their_order(here: Path) -> None:
    artifact = log_files({"a": "1", "b/c": "2", "d": "3"})
    assert [file.path for file in artifact.files(["d", "x", "./b/c", "b", "../a"])] == ["d", "b/c"]
    assert [file.path for file in artifact.files(start=artifact.files(per_page=2).cursor)] == ["a", "b/c", "d"]


def test_entries_of_others_are_added_and_removed_through_the_manifest(here: Path) -> None:
    source = log(write(wandb.Artifact("source"), **{"sub/f": "1", "g": "2"}))
    one = draft("one", "own")
    for path in paths(source):
        one.manifest.add_entry(source.get_entry(path))
    assert paths(one) == ["f", "g", "sub/f"] and one.manifest.size() == 5 and one.manifest.digest() == one.digest
    other = log(draft("other", "2")).get_entry("f")
    with pytest.raises(Conflict):
        one.manifest.add_entry(other)
    one.manifest.add_entry(other, overwrite=True)
    one.manifest.remove_entry(one.get_entry("g"))
    with pytest.raises(FileNotFoundError):
        one.manifest.remove_entry(source.get_entry("g"))
    log(one)
    assert {path: entry.ref for path, entry in one.manifest.entries.items()} == {
        "f": other.ref_url(), "sub/f": source.get_entry("sub/f").ref_url(),
    }  # fmt: skip
    for change in (one.manifest.add_entry, one.manifest.remove_entry):
        with pytest.raises(ArtifactFinalizedError):
            change(other)


def test_a_manifest_and_its_entries_have_wandbs_json(here: Path) -> None:
    artifact = log(draft("data", "1"))
    artifact = artifact.new_draft()
    artifact.add_reference("s3://bucket/key", "away", checksum=False)
    log(artifact)
    digest = artifact.get_entry("f").digest
    assert artifact.manifest.to_manifest_json() == {
        "version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"},
        "contents": {
            "away": {"digest": "s3://bucket/key", "ref": "s3://bucket/key"}, "f": {"digest": digest, "size": 1},
        },
    }  # fmt: skip
    assert artifact.get_entry("f").to_json() == {"path": "f", "digest": digest, "size": 1, "extra": {}}


def test_an_artifact_is_encoded_as_a_value_of_a_config(here: Path) -> None:
    source, link = linked()
    told = {"_type": "artifactVersion", "_version": "v0", "id": source.id, "version": "v0", "sequenceName": "model"}
    assert source.json_encode() == link.json_encode() == {**told, "usedAs": None}
    with pytest.raises(ArtifactNotLoggedError):
        draft("other").json_encode()
    with wandb.init(config={"net": source}) as run:
        pass
    assert wandb.Api().run(run.path).config["net"] == {**told, "usedAs": None}


def test_wandbs_uri_of_an_entry_has_the_versions_id_alone(here: Path) -> None:
    source, _ = linked()
    artifact = wandb.Artifact("data")
    (entry,) = artifact.add_reference(f"wandb-artifact://{source.id}/f", "copy")
    assert entry.path == "copy" and entry.ref == source.get_entry("f").ref_url()
    with pytest.raises(NotFound, match="there is no version with the id 0{64}"):
        artifact.add_reference(f"wandb-artifact://{'0' * 64}/f")
    with pytest.raises(InvalidValue, match="does not name an entry of an artifact"):
        artifact.add_reference("wandb-artifact://model/f")
    source.delete(delete_aliases=True)
    assert artifact.add_reference(f"wandb-artifact://{source.id}/f", "again")  # by the link, which has it still
