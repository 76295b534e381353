"""Paths by which users import this package: they stay, wherever the code behind them goes."""

import ast
import builtins
import importlib
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import artstore

PUBLIC = {
    "artstore": [name for name in artstore.__all__ if name not in ("config", "summary")],  # those of an active run
    "artstore.data_types": ["Image", "Table", "Histogram", "WBValue"],
    "artstore.util": ["generate_id"],
    "artstore.apis.public": ["Api"],
    "artstore.automations": ["OnAddArtifactAlias", "RunCommand", "SendWebhook", "CallPython"],
    "artstore.cli": ["main"],
    "artstore.errors": [
        "ArtstoreError",
        "CommError",
        "Error",
        "UsageError",
        "NotFound",
        "Conflict",
        "Damage",
        "Refused",
        "AuthenticationError",
        "UnsupportedError",
        "WandbCoreNotAvailableError",
    ],
    "artstore.fsspec": ["ArtstoreFileSystem"],
    "artstore.references": ["Handler", "Reference", "Target", "register"],
    "artstore.repository": ["Repository"],
}
"""What README and docs name, and what code that was written for W&B imports."""


@pytest.mark.parametrize("path", PUBLIC)
def test_a_path_that_users_import_has_its_names(path: str) -> None:
    module = importlib.import_module(path)
    assert [name for name in PUBLIC[path] if not hasattr(module, name)] == []


def test_a_face_is_the_module_behind_it_not_a_copy() -> None:
    """A handler that is registered by one path is found by the other."""
    from artstore import automations, references
    from artstore.api.automations import RunCommand
    from artstore.backends.references import register

    assert references.register is register
    assert automations.RunCommand is RunCommand


def test_fsspec_finds_the_file_system_by_its_entry_point() -> None:
    (found,) = (point for point in entry_points(group="fsspec.specs") if point.name == "artstore")
    assert found.load() is importlib.import_module("artstore.fsspec").ArtstoreFileSystem


def test_the_program_is_at_the_path_that_installers_were_told() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"artstore": "artstore.cli:main"}


def test_every_public_name_is_reached_in_a_fresh_process_and_nothing_else_is_loaded_for_it() -> None:
    """Each name by itself: none needs another to have been asked for."""
    code = "import sys, artstore\nfor name in sys.argv[1:]: getattr(artstore, name)"
    subprocess.run([sys.executable, "-c", code, *PUBLIC["artstore"]], check=True)
    alone = "import sys, artstore.errors; print(sorted(m for m in sys.modules if m.startswith('artstore')))"
    done = subprocess.run([sys.executable, "-c", alone], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['artstore', 'artstore._version', 'artstore.errors']"


@pytest.mark.parametrize(
    "first",
    [
        "wandb.plot.roc_curve", "wandb.sklearn.plot_roc", "wandb.util.generate_id", "wandb.env.SILENT",
        "wandb.apis.public.Api", "wandb.sdk.wandb_run.Run", "wandb.data_types.Image", "wandb.integration.__name__",
    ],
)  # fmt: skip
def test_a_module_of_wandbs_is_reached_first_in_a_fresh_process_and_then_all_else(first: str) -> None:
    code = f"import artstore as wandb; {first}; wandb.errors.Error; wandb.init; wandb.Artifact; wandb.automations.RunCommand"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_error_that_a_traceback_names_has_a_private_name() -> None:
    """`artstore.api.run._NotAModel: …` would tell a user to look for something that can't be caught."""
    bases: dict[str, set[str]] = {}
    for path in Path(artstore.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(ast.unparse(base).split(".")[-1] for base in node.bases)
    builtin = vars(builtins).values()
    errors = {kind.__name__ for kind in builtin if isinstance(kind, type) and issubclass(kind, BaseException)}
    while more := {name for name, above in bases.items() if above & errors} - errors:
        errors |= more
    assert {"ArtstoreError", "NoEntry", "NotAModel"} <= errors
    assert [name for name in sorted(errors) if name.startswith("_")] == []
