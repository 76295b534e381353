"""Warnings name the line of the script that they are about, wherever they come from."""

import ast
import contextlib
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import artstore
import artstore as wandb
from artstore.api.surroundings.console import Console
from tests.support.artifacts import draft


def _late() -> None:
    wandb.log({"a": 1}, step=3)
    wandb.log({"a": 1}, step=1)


def _in_a_block_of_the_library() -> None:
    with contextlib.ExitStack() as stack:
        stack.callback(wandb.alert, "late")


def _in_a_finished_block() -> None:
    with wandb.init(reinit="create_new") as run:
        Path("own").mkdir()
        run.config["long"] = "x" * (5 << 20)


def _of_console() -> None:
    console = Console(lambda: "absent/folder", str, [])
    console.capture(0, "text")
    console.stop()


@pytest.mark.parametrize(
    "act",
    [
        lambda: wandb.alert("loss", "it rises"),
        lambda: wandb.run and wandb.run.alert("loss"),
        _late,
        _in_a_block_of_the_library,
        _in_a_finished_block,
        _of_console,
        lambda: wandb.init(monitor_gym=True),
        lambda: wandb.save("nothing-*.txt"),
        lambda: wandb.save("s3://bucket/x"),
        lambda: wandb.log({"x": object()}),
        lambda: wandb.summary.update({"y": object()}),
        lambda: wandb.Molecule(),
        lambda: wandb.Molecule.from_smiles("CO"),
        lambda: wandb.sklearn.plot_clusterer(),
        lambda: wandb.Api().runs(filters={"config.lrr": 1})[0:0],
        lambda: ThreadPoolExecutor(1).submit(lambda: wandb.alert("of a thread")).result(),
    ],
)
def test_a_warning_names_the_line_of_the_script(
    here: Path, act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb.Molecule, "_warned", False)
    wandb.init(config={"lr": 1})
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        act()
    assert said and {warning.filename for warning in said} == {__file__}, said


def test_a_warning_about_a_saved_artifact_names_the_line_of_the_script(here: Path) -> None:
    Path("gone").write_text("x")
    artifact = draft()
    artifact.add_reference(Path("gone").absolute().as_uri())
    artifact.save()
    Path("gone").unlink()
    with pytest.warns(UserWarning, match="skipped 'gone'") as said:
        artifact.download(allow_missing_references=True)
    assert said[0].filename == __file__


def test_all_warnings_are_given_by_the_one_function_that_looks_for_the_script() -> None:
    package = Path(artstore.__file__).parent
    found = [
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "warn" and ast.unparse(node) == "warnings.warn"
    ]
    assert found == ["backends/callers.py"]
