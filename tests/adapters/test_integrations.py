"""Faces at the top of the package: W&B's module names below `artstore`, with only the import changed."""

import importlib
import subprocess
import sys
from pathlib import Path

import artstore
from artstore.adapters.wandb_names.table import MODULES
from tests.support.commands import environment


def test_wandbs_modules_are_below_artstore_with_only_the_import_changed() -> None:
    from artstore.apis.public import Artifacts
    from artstore.data_types import Classes, Image, WBValue
    from artstore.sdk.lib.runid import generate_id
    from artstore.sdk.wandb_run import Run
    from artstore.util import make_artifact_name_safe

    assert (Run, Image, Classes) == (artstore.Run, artstore.Image, artstore.Classes)
    assert all(issubclass(kind, WBValue) for kind in (Image, artstore.Table, artstore.Molecule))
    assert Artifacts is importlib.import_module("artstore.api.listing").Artifacts
    assert len(generate_id()) == 8 and make_artifact_name_safe("a/b") == "a_b"
    assert artstore.util.generate_id is generate_id and artstore.env.PROJECT == "WANDB_PROJECT"
    assert artstore.sdk.data_types.image.Image is Image


def test_a_face_is_loaded_when_it_is_asked_for() -> None:
    loaded = "import sys, artstore; print([m for m in sys.modules if m.startswith('artstore.')])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['artstore._version']"


FAKES = {
    "xgboost": "class Booster: pass",
    "xgboost/callback": "class TrainingCallback: pass",
    "lightgbm": "class Booster: pass",
    "catboost": "class CatBoost: pass",
    "keras": "",
    "keras/callbacks": "class Callback: pass\nclass ModelCheckpoint(Callback): pass",
    "stable_baselines3": "",
    "stable_baselines3/common": "",
    "stable_baselines3/common/callbacks": "class BaseCallback:\n    def __init__(self, verbose=0): pass",
    "stable_baselines3/common/logger": "class KVWriter: pass",
}
"""As much of the frameworks as their callbacks import: `pytest -m frameworks` runs the callbacks with real ones."""


def test_each_integration_has_the_names_of_wandbs_and_needs_a_run(tmp_path: Path) -> None:
    for name, text in FAKES.items():
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(text)
    names = {
        module: list(MODULES[f"integration.{module}"]) for module in ("keras", "xgboost", "lightgbm", "catboost", "sb3")
    }
    code = f"""
import importlib, artstore
for module, names in {names}.items():
    face = importlib.import_module("artstore.integration." + module)
    for name in names:
        called = getattr(face, name)
        if name in ("WandbCallback", "WandbMetricsLogger", "wandb_callback"):
            try:
                called()
            except artstore.Error as error:
                print(module, error, sep=": ")
"""
    env = environment(tmp_path, PYTHONPATH=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.splitlines() == [
        f"{module}: You must call wandb.init() before {name}()"
        for module, name in (
            ("keras", "WandbMetricsLogger"),
            ("xgboost", "WandbCallback"),
            ("xgboost", "WandbCallback"),
            ("lightgbm", "wandb_callback"),
            ("catboost", "WandbCallback"),
            ("sb3", "WandbCallback"),
        )
    ], done.stderr
