"""What can be pickled and copied, and the texts and values that scripts of W&B's look for."""

import copy
import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import MissingObject
from artstore.repository import Repository
from tests.support.artifacts import again, draft, log
from tests.support.folders import make_tree
from tests.support.together import script

COPIES: list[Callable[[Any], Any]] = [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one)), copy.copy]


@pytest.mark.parametrize("copied", COPIES)
def test_a_logged_artifact_is_copied_with_its_edits(here: Path, copied: Callable[[Any], Any]) -> None:
    artifact = log(draft(metadata={"k": 1}))
    artifact.metadata["k"] = 2
    other = copied(artifact)
    assert other == artifact and other.metadata == {"k": 2} and other.name == "data:v0"
    assert copied(artifact.get_entry("f")).open().read() == b"1"
    assert copied(wandb.Api().artifacts(None, "data")) == [artifact]
    other.save()
    assert again().metadata == {"k": 2}


@pytest.mark.parametrize("copied", COPIES)
def test_a_draft_is_copied_with_its_files_and_is_a_draft_of_its_own(here: Path, copied: Callable[[Any], Any]) -> None:
    make_tree(here, {"d/small": "1", "d/large": "x" * (2 << 20), "later": "2"})
    Path("d/empty").mkdir()
    artifact = draft(metadata={"k": [1]}, type="dataset", description="text")
    artifact.add_dir("d")
    artifact.add_file("later", policy="mutable")
    artifact.add_reference(Path("d/small").absolute().as_uri(), "reference")
    other = copied(artifact)
    assert (other.is_draft(), other.name, other.type, other.description) == (True, "data", "dataset", "text")
    assert sorted(other.manifest.entries) == ["f", "large", "later", "reference", "small"]
    with other.new_file("more") as file:
        file.write("3")
    other.metadata["k"].append(2)
    assert "more" not in artifact.manifest.entries and artifact.metadata == {"k": [1]}
    one, two = log(artifact), log(other)
    assert (one.name, two.name, two.metadata) == ("data:v0", "data:v1", {"k": [1, 2]})
    assert one.diff(two).added == ["more"] and one.digest != two.digest
    two.verify(two.download())


@pytest.mark.parametrize("copied", COPIES)
def test_a_draft_without_files_is_copied_and_makes_no_repository(here: Path, copied: Callable[[Any], Any]) -> None:
    artifact = wandb.Artifact("data", "dataset", metadata={"k": 1}, incremental=True)
    other = copied(artifact)
    assert not Path(".artifacts").exists()
    assert (other.name, other.type, other.metadata, other.incremental) == ("data", "dataset", {"k": 1}, True)
    assert list(log(other).manifest.entries) == [] and artifact.is_draft()


def test_a_draft_that_goes_on_from_a_version_is_copied_with_its_parent(here: Path) -> None:
    log(draft())
    began = again().new_draft()
    other = copy.deepcopy(began)
    with other.new_file("more") as file:
        file.write("3")
    other.save()
    assert other.name == "data:v1" and sorted(other.manifest.entries) == ["f", "more"]


def test_a_pickled_draft_is_read_by_another_process_even_after_this_one_has_closed_it(here: Path) -> None:
    artifact = draft()
    Path("pickled").write_bytes(pickle.dumps(artifact))
    artifact.discard()
    script("import pickle; pickle.loads(open('pickled', 'rb').read()).save()")
    assert again().get_entry("f").open().read() == b"1"
    Path("pickled").write_bytes(pickle.dumps(draft("other", "2")))
    gc.collect()  # which closes the draft
    Repository(".artifacts").gc(now=True)
    with pytest.raises(MissingObject, match="the draft can't be brought back"):
        pickle.loads(Path("pickled").read_bytes())


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_of_config_has_its_values_and_belongs_to_no_run(here: Path, copied: Callable[[Any], Any]) -> None:
    with wandb.init(config={"lr": 0.1, "data": log(draft())}) as run:
        run.summary["acc"] = 0.5
        config, summary = copied(run.config), copied(run.summary)
        config.update({"lr": 1, "more": 2}, allow_val_change=True)
        assert run.config.lr == 0.1 and "more" not in run.config
    assert config == {"lr": 1, "data": again(), "more": 2} and summary == {"acc": 0.5}
    assert wandb.Api().run(run.path).config["lr"] == 0.1


@pytest.mark.parametrize("copied", COPIES)
def test_a_table_is_copied(here: Path, copied: Callable[[Any], Any]) -> None:
    table = wandb.Table(columns=["a", "b"], data=[[1, None], [2, "x"]])
    assert copied(table).data == table.data and copied(table).columns == ["a", "b"]


@pytest.mark.parametrize(
    "hold", [lambda a: {"d": a}, lambda a: {"d": {"e": a}}, lambda a: [a], lambda a: {"d": (1, a)}]
)
def test_an_artifact_inside_a_value_of_the_config_is_refused(here: Path, hold: Callable[[Any], Any]) -> None:
    artifact = log(draft())
    with wandb.init() as run:
        for keep in (run.config.update, run.config.setdefaults):
            with pytest.raises(
                ValueError, match="Instances of wandb.Artifact can only be top level keys in a run's conf"
            ):
                keep({"n": hold(artifact)})
        assert "n" not in run.config


def test_a_slice_in_metadata_is_its_three_numbers(here: Path) -> None:
    told = {"slice_start": 1, "slice_step": None, "slice_stop": 3}
    assert log(draft(metadata={"s": slice(1, 3), "l": [slice(1, 3)]})).metadata == {"s": told, "l": [told]}


def test_save_takes_settings_for_the_run_that_it_makes(here: Path) -> None:
    artifact = draft()
    artifact.save(settings=wandb.Settings(project="p", entity="e"))
    assert artifact.qualified_name == "e/p/data:v0"
    other = draft()
    other.save("q", wandb.Settings(project="p"))
    assert other.qualified_name == "local/q/data:v0"


def test_texts_begin_as_wandbs_do(here: Path) -> None:
    artifact = log(draft(type="dataset"))
    texts: dict[str, Callable[[], Any]] = {
        "'Artifact.version' used prior to logging artifact": lambda: draft("new").version,
        "'Artifact.add_file' used on logged artifact": lambda: artifact.add_file("f"),
        "Aliases must not contain any of the following characters: '/', ':'": lambda: artifact.link("x", ["a/b"]),
        "Invalid tag(s)": lambda: setattr(artifact, "tags", ["a/b"]),
        "Artifact data already exists with type 'dataset'; cannot create another with type 'model'": lambda: log(
            draft("data", "2", type="model")
        ),
        "Cannot add the same path twice": lambda: draft("new").add_reference("s3://b/k", "f", checksum=False),
        "Path is not a file": lambda: draft("new").add_file("nowhere"),
        "Artifact type 'job' is reserved for internal use. Please use a different type.": lambda: wandb.Artifact(
            "a", "job"
        ),
    }
    for text, act in texts.items():
        with pytest.raises((ValueError, AttributeError)) as error:
            act()
        assert str(error.value).startswith(text)
