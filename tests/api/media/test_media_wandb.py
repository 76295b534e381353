"""Media between artstore and the real wandb package: either reads what the other wrote, with equal values."""

import importlib.util
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import artstore
from artstore.adapters.importing import Left
from artstore.adapters.wandb_offline import import_wandb
from artstore.api.media.content import read
from artstore.repository import Repository
from tests.support.artifacts import log
from tests.support.marks import long
from tests.support.media import run_files
from tests.support.runs import plain, rows

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
pytest.importorskip("soundfile")
real = pytest.importorskip("wandb")
HERE = Path(__file__).parent / "wandb_media"
OLD = "0.22.3"
"""The version that wrote the files beside the program."""
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # wandb leaves files open
    pytest.mark.filterwarnings("ignore:.*getdata is deprecated.*:DeprecationWarning"),
]


def _program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("media_files", HERE / "media_files.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


program = _program()


def described(media: Any) -> Any:
    """What an object of ours holds, as the program says it of wandb's."""
    if isinstance(media, artstore.Image):
        return [
            "Image", media.caption, np.array(media.image).tolist(), media.classes and media.classes.class_set,
            {key: boxes.box_data for key, boxes in (media.boxes or {}).items()},
            {key: read(mask.content).hex() for key, mask in (media.masks or {}).items()},
        ]  # fmt: skip
    if isinstance(media, artstore.Html):
        return ["Html", media.html]
    if isinstance(media, artstore.Classes):
        return ["Classes", media.class_set]
    if isinstance(media, artstore.Audio | artstore.Object3D):
        return [type(media).__name__, media.caption, read(media.content).hex()]
    return media


def stored(folder: Path) -> artstore.Artifact:
    """The files of a folder as an artifact of ours."""
    artifact = artstore.Artifact("media", "dataset")
    artifact.add_dir(folder)
    return log(artifact)


def theirs(folder: Path) -> Any:
    return json.loads(json.dumps(program.read(str(folder))))


def assert_read_alike(artifact: artstore.Artifact, told: Any) -> None:
    """We read of an artifact what wandb reads of its files."""
    table = artifact.get("sub/table")
    at = program.COLUMNS.index("histogram")
    rows = [list(row) for row in table.data]
    histograms = [row.pop(at) for row in rows]
    assert json.loads(json.dumps([[described(cell) for cell in row] for row in rows])) == told["rows"]
    assert [None if each is None else each.to_json() for each in histograms] == told["histograms"]
    for name, wanted in told["objects"].items():
        assert json.loads(json.dumps(described(artifact.get(name)))) == wanted


def test_what_wandb_writes_is_read_here_with_equal_values(here: Path) -> None:
    program.write(str(here / "theirs"))
    artifact = stored(here / "theirs")
    assert_read_alike(artifact, theirs(here / "theirs"))
    assert list(artifact.get("sub/table").data[0]) == program.row(artstore)


def test_what_wandb_wrote_a_year_ago_is_read_here_with_equal_values(here: Path) -> None:
    assert_read_alike(stored(HERE / "written"), theirs(HERE / "written"))


@pytest.mark.parametrize("source", ["made here", "read from wandb"])
def test_what_we_write_is_read_by_wandb_with_equal_values(source: str, here: Path) -> None:
    artifact = artstore.Artifact("ours", "dataset")
    if source == "made here":
        program.add_all(artstore, artifact)
    else:
        found = stored(HERE / "written")
        artifact.add(found.get("sub/table"), "sub/table")
        for name in (*program.COLUMNS, "classes"):
            if name != "histogram":
                artifact.add(found.get(name), name)
    ours = log(artifact)
    told = theirs(Path(ours.download()))
    assert_read_alike(ours, told)
    if source == "made here":
        program.write(str(here / "theirs"))
    assert told == theirs(here / "theirs" if source == "made here" else HERE / "written")


def test_tables_of_both_have_the_same_json_apart_from_names_of_files(here: Path) -> None:
    artifact = artstore.Artifact("ours", "dataset")
    program.add_all(artstore, artifact)
    program.write(str(here / "theirs"))
    both = []
    for folder in (Path(log(artifact).download()), here / "theirs"):
        told = json.loads((folder / "sub/table.table.json").read_text())
        for cell in told["data"][0]:
            for each in (cell, *cell.get("masks", {}).values()):
                each.pop("path", None)
        both.append(told)
    assert both[0] == both[1]


@long
def test_a_run_of_wandb_and_one_of_ours_record_the_same_and_have_the_same_files(here: Path) -> None:
    program.log_all(artstore)
    ours, our_files = rows("media/logged"), run_files("logged")
    summary = dict(artstore.Api().run("media/logged").summary)
    (here / "theirs").mkdir()
    environ = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(here)}
    command = [sys.executable, "-W", "ignore", str(HERE / "media_files.py"), "log"]
    subprocess.run(command, check=True, cwd=here / "theirs", env=environ)
    with Repository.init(str(here / "imported")) as repository:
        left = [each for each in import_wandb(repository, "theirs/wandb", "media", "run") if isinstance(each, Left)]
        state = next(iter(repository.runs.all()))
        their_rows, their_files = plain(repository.run_history(state)), set(repository.run_files(state))
    assert left == [] and _comparable(their_rows) == _comparable(ours)
    assert state.summary["best"] == summary["best"]
    boxes = {path for path in their_files | set(our_files) if "boxes2D" in path}
    assert their_files - boxes == set(our_files) - boxes and len(boxes) == 2


def _comparable(value: Any) -> Any:
    """Without what only we record, and without the file of boxes, in which we have another order of keys."""
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_type") == "boxes2D":
        return "boxes"
    return {key: _comparable(item) for key, item in value.items() if key != "class_labels"}


@long
def test_wandb_of_a_year_ago_reads_what_we_write(here: Path, tmp_path: Path) -> None:
    artifact = artstore.Artifact("ours", "dataset")
    program.add_all(artstore, artifact)
    ours = log(artifact)
    venv.create(tmp_path / "old", with_pip=True)
    python = str(tmp_path / "old" / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", f"wandb=={OLD}", "numpy", "pillow<11.3", "soundfile"]
    subprocess.run(install, check=True, env={**os.environ, "HOME": str(tmp_path)})
    command = [python, str(HERE / "media_files.py"), "read", ours.download()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert told["version"] == OLD and sys.version_info >= (3, 11)
    assert_read_alike(ours, told)
