"""`entry.extra`: keys of the user's own are stored with the version, as in W&B's manifests."""

import copy
import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import InvalidType, InvalidValue
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log, paths, write
from tests.support.folders import make_tree
from tests.support.links import repository
from tests.support.together import in_threads

KEYS: dict[str, Any] = {"label": "cat", "boxes": [[0, 0.5], [1, None]], "nested": {"ü": {"deep": True}}}
LONG = {"text": "x" * 10_000}


def with_extra(keys: dict[str, Any] = KEYS, **more: Any) -> wandb.Artifact:
    """A draft whose file `f` has these keys."""
    artifact = draft(**more)
    artifact.get_entry("f").extra.update(copy.deepcopy(keys))
    return artifact


def extra_of(artifact: wandb.Artifact, path: str = "f") -> dict[str, Any]:
    return artifact.get_entry(path).extra


ENTRIES: dict[str, Callable[[wandb.Artifact], wandb.api.entries.Entry]] = {
    "add_file": lambda draft: draft.add_file("d/a", "a"),
    "add_file later": lambda draft: draft.add_file("d/a", "a", policy="immutable"),
    "add_dir": lambda draft: (draft.add_dir("d"), draft.get_entry("a"))[1],
    "the manifest": lambda draft: (draft.add_dir("d"), draft.manifest.entries["sub/b"])[1],
    "all of the manifest": lambda draft: (draft.add_dir("d"), next(iter(draft.manifest.entries.values())))[1],
    "a folder of the manifest": lambda draft: (draft.add_dir("d"), draft.manifest.get_entries_in_directory("sub")[0])[1],
    "add_reference": lambda draft: draft.add_reference(Path("d/a").absolute().as_uri(), "a")[0],
    "add_reference without checksum": lambda draft: draft.add_reference("s3://b/k", "a", checksum=False)[0],
    "an object": lambda draft: draft.add(wandb.Table(columns=["a"], data=[[1]]), "a"),
    "new_file": lambda draft: write(draft, a="1").get_entry("a"),
    "an entry of another version": lambda draft: draft.add_reference(log(write(wandb.Artifact("o"), a="1")).get_entry("a"))[0],
}  # fmt: skip


@pytest.mark.parametrize("way", ENTRIES)
def test_keys_that_any_entry_of_a_draft_gets_are_there_when_the_version_is_read(here: Path, way: str) -> None:
    make_tree(here, {"d/a": "1", "d/sub/b": "2"})
    artifact = wandb.Artifact("data", "dataset")
    entry = ENTRIES[way](artifact)
    digest = artifact.digest
    entry.extra |= copy.deepcopy(KEYS)
    entry.extra["boxes"].append("more")
    wanted = {**KEYS, "boxes": [*KEYS["boxes"], "more"]}
    assert entry.extra == artifact.get_entry(entry.path).extra == wanted
    log(artifact)
    for found in (
        entry,
        artifact.get_entry(entry.path),
        again().get_entry(entry.path),
        again().manifest.entries[entry.path],
    ):
        assert found.extra == found.to_json()["extra"] == wanted and type(found.to_json()["extra"]) is dict
        assert again().manifest.to_manifest_json()["contents"][entry.path]["extra"] == wanted
        assert (
            json.loads(json.dumps(found.extra)) == copy.deepcopy(found.extra) == pickle.loads(pickle.dumps(found.extra))
        )
    assert artifact.digest == digest, "they don't change the digest"
    assert all(extra_of(again(), path) == {} for path in paths(again()) if path != entry.path)


def test_a_key_may_be_set_changed_and_removed_in_every_way_of_a_dict(here: Path) -> None:
    artifact = draft()
    entry = artifact.get_entry("f")
    entry.extra["a"] = 1
    entry.extra.update({"b": 2}, c=3)
    assert entry.extra.setdefault("a", 9) == 1 and entry.extra.setdefault("d", 4) == 4
    assert entry.extra.pop("b") == 2 and entry.extra.pop("b", None) is None
    del entry.extra["c"]
    entry.extra["a"] = True
    assert entry.extra == {"a": True, "d": 4} and extra_of(artifact) == entry.extra
    entry.extra = {"e": 5}
    entry.extra = entry.extra | {"f": 6}
    log(artifact)
    assert extra_of(again()) == {"e": 5, "f": 6}
    other = draft(text="2")
    other.get_entry("f").extra |= {"a": 1}
    other.get_entry("f").extra.clear()
    log(other)
    assert extra_of(again()) == {} and b'"extras"' not in max(Path(".artifacts").glob("refs/*/*/*/*.json")).read_bytes()


CHANGES: list[Callable[[Any], object]] = [
    lambda entry: entry.extra.update(mine=1),
    lambda entry: entry.extra.update({"mine": 1}),
    lambda entry: entry.extra.setdefault("mine", 1),
    lambda entry: entry.extra.__setitem__("mine", 1),
    lambda entry: entry.extra.__ior__({"mine": 1}),
    lambda entry: setattr(entry, "extra", {"label": "cat", "mine": 1}),
    lambda entry: setattr(entry, "extra", entry.extra | {"mine": 1}),
]
REMOVALS: list[Callable[[Any], object]] = [
    lambda entry: entry.extra.pop("label"),
    lambda entry: entry.extra.popitem(),
    lambda entry: entry.extra.clear(),
    lambda entry: entry.extra.__delitem__("label"),
    lambda entry: setattr(entry, "extra", {}),
]


@pytest.mark.parametrize(
    ("change", "verb"), [(c, "dropped 'mine'") for c in CHANGES] + [(c, "kept 'label'") for c in REMOVALS]
)
def test_the_entries_of_a_logged_artifact_never_change_and_no_attempt_is_silent(
    here: Path, change: Any, verb: str
) -> None:
    artifact = with_extra({"label": "cat"})
    before = artifact.get_entry("f")
    held = before.extra
    log(artifact)
    for entry in (before, again().get_entry("f")):
        with pytest.warns(UserWarning, match=f"^{verb}: data:v0 is logged, and its entries never change$") as said:
            change(entry)
        assert [warning.filename for warning in said] == [__file__]
        assert entry.extra == {"label": "cat"}
    with pytest.warns(UserWarning, match="dropped 'late'"):
        held["late"] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before.extra["label"] = "cat"  # it is that already
    assert extra_of(again()) == {"label": "cat"}


def test_a_value_that_is_read_may_be_edited_and_the_version_stays_as_it_is(here: Path) -> None:
    artifact = log(with_extra())
    extra_of(artifact)["boxes"].append("mine")
    extra_of(artifact)["nested"]["ü"]["deep"] = False
    assert extra_of(artifact) == extra_of(again()) == KEYS
    draft = artifact.new_draft()
    draft.get_entry("f").extra["boxes"].append("of the draft")
    assert extra_of(artifact) == KEYS and extra_of(draft) != KEYS


# -- references ----------------------------------------------------------------------------------


def test_what_the_place_of_a_reference_reports_stays_and_other_keys_are_kept(here: Path) -> None:
    from artstore.backends.references import ETAG, Reference, Target

    artifact = wandb.Artifact("data", "dataset")
    (entry,) = artifact._add_targets("a", [Target("", Reference("s3://bucket/key", 5, ETAG, "abc", "3"))])
    entry.extra["mine"] = 1
    for refused in (
        lambda: entry.extra.update(etag="other"),
        lambda: setattr(entry, "extra", {"versionID": "4", "mine": 1}),
    ):
        with pytest.warns(
            UserWarning, match="^dropped '(etag|versionID)': it is what the place of the reference reports$"
        ):
            refused()
    with pytest.warns(UserWarning, match="^kept 'etag'"):
        del entry.extra["etag"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        entry.extra = {"mine": 2}  # which says nothing of what is reported
    assert entry.extra == {"etag": "abc", "versionID": "3", "mine": 2}
    log(artifact)
    assert extra_of(again(), "a") == {"etag": "abc", "versionID": "3", "mine": 2}


def test_etag_is_a_key_like_others_where_no_place_reports_one(here: Path) -> None:
    artifact = draft()
    (away,) = artifact.add_reference("s3://bucket/key", "away", checksum=False)
    for entry in (away, artifact.get_entry("f")):
        entry.extra |= {"etag": "mine", "versionID": "1"}
    log(artifact)
    assert extra_of(again()) == extra_of(again(), "away") == {"etag": "mine", "versionID": "1"}
    assert again().get_entry("away").digest == "s3://bucket/key", "no download checks it"


# -- drafts --------------------------------------------------------------------------------------

ANEW: dict[str, Callable[[wandb.Artifact], object]] = {
    "add_file": lambda draft: draft.add_file("d/f"),
    "add_file of other content": lambda draft: draft.add_file("d/g", "f", overwrite=True),
    "add_dir": lambda draft: draft.add_dir("d"),
    "add_dir of a folder": lambda draft: draft.add_dir("d", "sub"),
    "new_file": lambda draft: write_again(draft),
    "remove": lambda draft: (draft.remove("f"), draft.add_file("d/f")),
    "remove alone": lambda draft: draft.remove("f"),
    "remove the folder": lambda draft: draft.remove("sub"),
}


def write_again(draft: wandb.Artifact) -> None:
    with draft.new_file("f", "w") as file:
        file.write("1")


@pytest.mark.parametrize("way", ANEW)
def test_the_next_version_has_the_keys_of_entries_that_stay_and_none_of_those_that_are_added_anew(
    here: Path, way: str
) -> None:
    make_tree(here, {"d/f": "1", "d/g": "2"})
    first = wandb.Artifact("data", "dataset")
    first.add_dir("d")
    first.add_dir("d", "sub")
    for path, entry in first.manifest.entries.items():
        entry.extra["at"] = path
    log(first)
    second = again().new_draft()
    ANEW[way](second)
    write(second, more="3")
    log(second)
    gone = {"f"} if way not in ("add_dir", "add_dir of a folder", "remove the folder") else {"f", "g"} if way == "add_dir" else {"sub/f", "sub/g"}  # fmt: skip
    found = {path: entry.extra for path, entry in again().manifest.entries.items()}
    assert {path: extra for path, extra in found.items() if extra} == {
        path: {"at": path} for path in ("f", "g", "sub/f", "sub/g") if path not in gone
    }
    assert {entry.extra["at"] for entry in again("data:v0").manifest.entries.values()} == {"f", "g", "sub/f", "sub/g"}


def test_keys_for_a_path_that_is_gone_are_left_out(here: Path) -> None:
    artifact = draft()
    gone = write(artifact, **{"sub/g": "2"}).get_entry("sub/g")
    artifact.remove("sub")
    gone.extra["late"] = 1
    log(artifact)
    assert '"extras"' not in next(Path(".artifacts").glob("refs/*/*/*/*.json")).read_text()
    write(other := again().new_draft(), **{"sub/g": "2"})
    assert extra_of(other, "sub/g") == {}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_of_a_draft_has_its_keys_and_edits_its_own(here: Path, copied: Callable[[Any], Any]) -> None:
    artifact = with_extra()
    other = copied(artifact)
    other.get_entry("f").extra["boxes"].append("of the copy")
    other.get_entry("f").extra["more"] = 1
    assert extra_of(artifact) == KEYS
    write(other, g="2")
    assert extra_of(log(artifact)) == KEYS
    assert extra_of(log(other)) == {**KEYS, "boxes": [*KEYS["boxes"], "of the copy"], "more": 1}


def test_an_entry_that_a_manifest_takes_from_another_version_keeps_its_keys_and_a_reference_to_it_does_not(
    here: Path,
) -> None:
    source = log(with_extra(name="source"))
    artifact = wandb.Artifact("data", "dataset")
    artifact.manifest.add_entry(source.get_entry("f"))
    artifact.add_reference(source.get_entry("f"), "g")
    log(artifact)
    assert (extra_of(again()), extra_of(again(), "g")) == (KEYS, {})


def test_an_incremental_version_keeps_the_keys_of_what_it_does_not_replace(here: Path) -> None:
    for number, (files, keys) in enumerate([({"a": "1", "b": "1", "c": "1"}, "abc"), ({"b": "2", "d": "1"}, "d")]):
        artifact = write(wandb.Artifact("data", "dataset", incremental=bool(number)), **files)
        for key in keys:
            artifact.get_entry(key).extra["of"] = number
        log(artifact)
    assert {path: entry.extra.get("of") for path, entry in again().manifest.entries.items()} == {
        "a": 0,
        "b": None,
        "c": 0,
        "d": 1,
    }


@pytest.mark.parametrize("keys", [{"k": 1}, LONG])
def test_processes_that_build_one_version_together_keep_the_keys_of_all(here: Path, keys: dict[str, Any]) -> None:
    with wandb.init(project="p") as run:
        for name in ("one", "two"):
            part = write(wandb.Artifact("data", "dataset"), same="s", **{name: name})
            for path in ("same", name):
                part.get_entry(path).extra |= {f"by {name}": keys}
            run.upsert_artifact(part, distributed_id="job")
        repository().gc(now=True)
        last = write(wandb.Artifact("data", "dataset"), three="three")
        last.get_entry("three").extra |= keys
        run.finish_artifact(last, distributed_id="job")
    made = again("p/data")
    assert extra_of(made, "same") == {"by one": keys, "by two": keys}
    assert (extra_of(made, "one"), extra_of(made, "three")) == ({"by one": keys}, keys)


def test_a_part_that_another_process_adds_too_gets_its_keys(here: Path) -> None:
    with wandb.init(project="p") as run:
        for keys in ({}, {"k": 1}, {}):
            part = draft("data", type="dataset")
            part.get_entry("f").extra |= keys
            run.upsert_artifact(part, distributed_id="job")
        run.finish_artifact(wandb.Artifact("data", "dataset"), distributed_id="job")
    assert extra_of(again("p/data")) == {"k": 1}


def test_threads_that_give_keys_at_once_lose_none(here: Path) -> None:
    artifact = wandb.Artifact("data", "dataset")

    def add(number: int) -> None:
        write(artifact, **{f"f{number}": str(number)}).get_entry(f"f{number}").extra["n"] = number

    in_threads(*((add, number) for number in range(20)))
    log(artifact)
    assert {path: entry.extra["n"] for path, entry in again().manifest.entries.items()} == {
        f"f{n}": n for n in range(20)
    }


def test_a_disabled_run_takes_keys_like_any_other(here: Path) -> None:
    artifact = with_extra()
    with wandb.init(mode="disabled") as run:
        run.log_artifact(artifact)
    assert artifact.manifest.to_manifest_json()


# -- the same content ----------------------------------------------------------------------------


def test_a_save_of_the_same_content_says_so_if_its_keys_are_others(here: Path) -> None:
    log(with_extra())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert log(with_extra()).name == log(draft()).name == "data:v0", "they are the same, or there are none"
    other = with_extra({"label": "dog"})
    with pytest.warns(
        UserWarning, match="^dropped the extra keys of 1 file: data:v0 has the same content, and its entries"
    ) as said:
        assert log(other).name == "data:v0"
    assert said[0].filename.endswith("artifacts.py"), "the line that logs it"
    assert extra_of(other) == extra_of(again()) == KEYS


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"k": object()}, InvalidType, "extra of 'f': 'k' is of type builtins.object, which has no JSON form"),
        ({"k": [{"x": object()}]}, InvalidType, r"extra of 'f': 'k\[0\].x' is of type builtins.object"),
        ({str(n): n for n in range(101)}, InvalidValue, "extra of 'f': 101 keys; at most 100 are allowed"),
        ({"\ud800": 1}, InvalidValue, "the extra of 'f': key .* is not valid Unicode"),
        ({1: "a", "1": "b"}, InvalidValue, "extra of 'f': '1' is given twice: two keys have the same text"),
        ({"k": "x" * (16 << 20)}, InvalidValue, r"the extra keys of entries would be \d+ bytes of JSON; at most 16777216"),
    ],
)  # fmt: skip
def test_keys_that_have_no_json_form_are_refused_before_anything_is_logged(
    here: Path, keys: dict[Any, Any], error: type[Exception], message: str
) -> None:
    artifact = with_extra(keys)
    with pytest.raises(error, match=f"^{message}"):
        log(artifact)
    assert artifact.is_draft()
    artifact.get_entry("f").extra = {"k": 1}
    assert extra_of(log(artifact)) == {"k": 1}


def test_values_become_what_they_become_in_metadata(here: Path) -> None:
    import datetime

    import numpy as np

    artifact = with_extra({"a": np.arange(2), "n": np.float32(0.5), "t": (1, 2), "d": datetime.date(2026, 1, 2), "nan": float("nan"), 3: "k"})  # fmt: skip
    assert extra_of(log(artifact)) == {"a": [0, 1], "n": 0.5, "t": [1, 2], "d": "2026-01-02", "nan": None, "3": "k"}


@pytest.mark.parametrize("path", ["blob", os.fsdecode(b"latin-\xe9"), "a/b c/\u00fc", "x" * 200])
def test_any_path_may_have_keys(here: Path, path: str) -> None:
    artifact = write(wandb.Artifact("data", "dataset"), **{path: "1"})
    artifact.get_entry(path).extra["blob"] = "0" * 64
    log(artifact)
    assert extra_of(again(), path) == {"blob": "0" * 64}


# -- what is stored ------------------------------------------------------------------------------


def test_many_keys_are_a_blob_that_collectors_keep(here: Path) -> None:
    log(with_extra(LONG))
    assert len(next(Path(".artifacts").glob("refs/*/*/*/*.json")).read_text()) < 3000
    with Repository(".artifacts") as repository:
        repository.gc(now=True)
        assert not repository.fsck().problems
    assert extra_of(again()) == LONG


def test_a_version_of_which_nobody_gave_keys_is_stored_as_ever(here: Path) -> None:
    log(draft())
    entry = json.loads(next(Path(".artifacts").glob("refs/*/*/*/*.json")).read_text())
    assert [change["kind"] for change in entry["changes"]] == ["collection", "version"]
