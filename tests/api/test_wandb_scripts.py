"""Scripts written after W&B's own guides and examples, with only the import changed: which run, and which can't and why."""

import runpy
import warnings
from pathlib import Path

import pytest

from tests.api.wandb_scripts import SCRIPTS, Script

REPRESENTATIVES = {
    "artifacts/change_some_files",
    "artifacts/pipeline",
    "artifacts/several_runs_one_version",
    "media/masks",
    "plots/confusion_matrix",
    "querying/delete_runs",
    "querying/filters",
    "refused/sweep",
    "registry/search",
    "runs/own_steps",
    "runs/resume",
    "runs/save_files",
    "tables/incremental",
    "tables/media_in_cells",
}
"""The scripts of the default run."""


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(script, id=script.name, marks=[] if script.name in REPRESENTATIVES else [pytest.mark.long])
        for script in SCRIPTS
    ],
)
def test_a_script_after_wandb_ends_as_the_table_says(
    script: Script, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in script.needs:
        pytest.importorskip(package)
    monkeypatch.delenv("WANDB_X_DISABLE_META")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("sys.argv", [str(script.path)])
    refusal = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # examples leave the closing of files to Python
        try:
            runpy.run_path(str(script.path), run_name="__main__")
        except Exception as error:
            if script.refusal is None:
                raise
            refusal = str(error)
    assert refusal == script.refusal
    assert [str(warning.message) for warning in caught] == script.warnings
