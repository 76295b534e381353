"""The docstrings of the Python interface: every public name has one, and every example in them runs.

An example finds `wandb` imported, files `bell.wav` and `steps.gif`, a folder `data` (labels.csv, images/1.png,
images/2.png), and in the project `digits` of a repository here: `images:v0`, logged by the run `prepare-1` from all of
`data` but images/2.png, and `model:v0`, logged by the run `train-1`, which used `images:v0` and
has a file `notes.txt`.
"""

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import artstore as wandb
from artstore import api
from tests.support.folders import make_tree

WITH_EXAMPLES = [
    "artifact.Artifact", "described.Described.aliases", "artifact.Artifact.delete", "artifact.Artifact.diff",
    "artifact.Artifact.lineage", "artifact.Artifact.link", "artifact.Artifact.logged_by", "described.Described.metadata",
    "artifact.Artifact.new_draft", "artifact.Artifact.save", "described.Described.ttl", "artifact.Artifact.used_by",
    "automations", "collections.ArtifactCollection.save", "registries.Registry", "contents.Contents.add",
    "contents.Contents.add_dir", "contents.Contents.add_file", "contents.Contents.add_reference",
    "files.ArtifactFiles.checkout", "files.ArtifactFiles.download", "files.ArtifactFiles.files", "files.ArtifactFiles.get",
    "files.ArtifactFiles.get_entry", "media.audio.Audio", "media.histogram.Histogram", "media.html.Html", "media.image.Image",
    "media.object3d.Object3D", "media.overlays.BoundingBoxes2D.__init__", "media.overlays.Classes.__init__", "media.overlays.ImageMask.__init__",
    "media.plotly.Plotly", "media.video.Video", "contents.Contents.new_file", "contents.Contents.remove", "files.ArtifactFiles.verify",
    "described_entry.ArtifactManifestEntry", "entries.Entry.download", "entries.Entry.open", "query.Api", "query.Api.artifact", "query.Api.artifact_collections",
    "query.Api.artifacts", "query.Api.create_automation", "query.Api.create_registry", "query.Api.from_path", "run_queries.RunQueries.create_run",
    "run_queries.RunQueries.run", "run_queries.RunQueries.runs",
    "active.ActiveRun.define_metric", "active.ActiveRun.restore", "active.ActiveRun.save", "run.Run.finish_artifact", "run.Run.link_artifact", "run.Run.link_model", "run.Run.log",
    "run.Run.log_artifact", "run.Run.log_code", "run.Run.log_model", "run.Run.upsert_artifact", "run.Run.use_artifact",
    "run.Run.use_model", "runs.RunRecord", "runs.RunRecord.files", "runs.RunRecord.history", "runs.RunRecord.upload_file", "runfiles.File.download", "runs.RunRecord.scan_history", "session.init", "session.restore", "settings.Settings", "tables.table.Table",
    "tables.table.Table.add_column", "tables.table.Table.add_computed_columns", "tables.table.Table.add_data",
    "tables.table.Table.diff", "tables.table.Table.get_column", "tables.table.Table.get_dataframe",
    "tables.table.Table.get_index", "values.Values.update",
]  # fmt: skip
"""The names that users need most."""


def modules() -> list[ModuleType]:
    return [importlib.import_module(found.name) for found in pkgutil.walk_packages(api.__path__, "artstore.api.")]


def public() -> Iterator[tuple[str, Any]]:
    """(name, object) of all public classes and functions of the interface, and of their public members."""
    for module in modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module.__name__}.{name}", value
            for member, inner in vars(value).items() if inspect.isclass(value) else ():
                if not member.startswith("_") and isinstance(
                    inner, property | classmethod | staticmethod | type(public)
                ):
                    yield f"{module.__name__}.{name}.{member}", getattr(value, member)


def examples() -> list[doctest.DocTest]:
    """Each docstring with examples, once: some are a method's and a function's."""
    found = [test for module in modules() for test in doctest.DocTestFinder().find(module) if test.examples]
    return list({test.docstring: test for test in reversed(found)}.values())[::-1]


@pytest.fixture
def digits(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder and the repository that the examples find."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)  # automations are kept below HOME
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    make_tree(
        here / "data", {"labels.csv": "image,digit\n1.png,7\n2.png,1\n", "images/1.png": "1", "images/2.png": "2"}
    )
    make_tree(here, {"bell.wav": "a sound", "steps.gif": "a video"})
    with wandb.init(project="digits", job_type="prepare", id="prepare-1") as run:
        images = wandb.Artifact("images", type="dataset", metadata={"source": "scanner"})
        images.add_dir("data", exclude="images/2.png")
        run.log_artifact(images)
    with wandb.init(project="digits", job_type="train", id="train-1", config={"lr": 0.1}) as run:
        run.use_artifact("images:latest")
        for loss in (0.5, 0.25):
            run.log({"loss": loss})
        model = wandb.Artifact("model", type="model")
        with model.new_file("weights.bin", "wb") as file:
            file.write(b"0123")
        run.log_artifact(model)
        Path(run.dir, "notes.txt").write_text("trained on a laptop")


@pytest.mark.usefixtures("digits")
@pytest.mark.filterwarnings("ignore:.*artstore.*:UserWarning")
@pytest.mark.parametrize("test", examples(), ids=lambda test: test.name.removeprefix("artstore.api."))
def test_an_example_of_a_docstring_prints_what_it_says(test: doctest.DocTest) -> None:
    if "wandb.Image" in (test.docstring or ""):
        pytest.importorskip("PIL")
    said: list[str] = []
    test.globs = {"wandb": wandb}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append)
    assert said == [], "".join(said)


def test_every_public_name_of_the_interface_has_a_docstring_that_begins_with_a_sentence() -> None:
    found = dict(public())
    assert len(found) > 300
    docs = {name: inspect.getdoc(value) or "" for name, value in found.items()}
    assert [name for name, text in docs.items() if not text.partition("\n\n")[0].endswith((".", ":"))] == []


def test_the_names_that_users_need_most_have_an_example() -> None:
    have = {test.name.removeprefix("artstore.api.") for test in examples()}
    assert [name for name in WITH_EXAMPLES if name not in have] == []
