"""Frameworks, unchanged, under `artstore run`: each one's own script records what it says it logs.

`pytest -m frameworks` runs these, a process of some seconds each. `python -m tests.adapters.frameworks.packages` makes the
virtual environment with the frameworks; ARTSTORE_FRAMEWORKS names another one that has them.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import artstore
from artstore.api.runs import RunRecord
from tests.adapters.frameworks.packages import TOP, python_of_frameworks
from tests.support.checks import check
from tests.support.commands import environment

pytestmark = [pytest.mark.frameworks, pytest.mark.timeout(900)]
SCRIPTS = Path(__file__).parent / "scripts"


def script(name: str, folder: Path, *program: object, **more: str) -> "subprocess.CompletedProcess[str]":
    """`artstore run python SCRIPT` in a folder, with the Python that has the frameworks, or with another program of its."""
    words = map(str, program or [python_of_frameworks()])
    command = [sys.executable, "-m", "artstore", "run", *words, str(SCRIPTS / f"{name}.py")]
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "MPLBACKEND": "agg"}
    env = environment(folder, PYTHONPATH=str(TOP), **offline, **more)  # of these sources, whatever is installed there
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=800)


def the_run(project: str) -> RunRecord:
    (run,) = artstore.Api().runs(project)
    assert run.state == "finished"
    return run


def logged(run: RunRecord) -> dict[str, list[str]]:
    """The artifacts that it logged, and the aliases of each one's newest version."""
    return {version.name: sorted(version.aliases) for version in run.logged_artifacts()}


def has(run: RunRecord, *names: str) -> None:
    """Each of these metrics is in the history."""
    seen = {name for row in run.scan_history() for name in row}
    assert set(names) <= seen, sorted(seen)


def of_lightning(folder: Path) -> None:
    run = the_run("lines")
    assert (run.id, run.name, run.config["rate"]) == ("fit-1", "first", 0.1)
    has(run, "epoch", "train_loss_step", "train_loss_epoch", "val_loss", "trainer/global_step", "samples")
    (picture,) = [row["pictures"] for row in run.scan_history() if "pictures" in row]
    assert (picture["_type"], picture["captions"]) == ("images/separated", ["black"])
    versions = logged(run)
    assert {name.partition(":")[0] for name in versions} == {"model-fit-1", "run-fit-1-samples"}
    best = artstore.Api().artifact("lines/model-fit-1:best")
    assert best.metadata["score"] == pytest.approx(
        min(row["val_loss"] for row in run.scan_history() if "val_loss" in row)
    )
    assert (folder / "again" / "model.ckpt").stat().st_size == best.size


def of_transformers(folder: Path) -> None:
    run = the_run("texts")
    assert (run.name, run.config["hidden_size"], run.config["id2label"]) == ("bert", 8, {"0": "no", "1": "yes"})
    has(run, "train/loss", "train/learning_rate", "eval/loss", "train/global_step")
    assert run.config["model/num_parameters"] > 100
    final = artstore.Api().artifact("texts/model-bert:final_model")
    assert final.metadata["final_model"] is True
    assert "model.safetensors" in final.manifest.entries
    checkpoint = artstore.Api().artifact("texts/model-bert:checkpoint_global_step_3")
    assert checkpoint.metadata["model/num_parameters"] == run.config["model/num_parameters"]


def of_xgboost(folder: Path) -> None:
    run = the_run("trees")
    has(run, "eval-rmse", "epoch", "best_score", "best_iteration", "Feature Importance_table")
    values = [row["eval-rmse"] for row in run.scan_history() if "eval-rmse" in row]
    assert (len(values), run.summary["eval-rmse"]) == (5, {"min": min(values)})
    assert run.config["learner"]["learner_model_param"]["num_feature"] == "3"
    assert set(logged(run)) == {"boost_model.json:v0", "run-boost-Feature-Importance_table:v0"}


def of_lightgbm(folder: Path) -> None:
    run = the_run("trees")
    has(run, "validation_rmse", "iteration", "Feature Importance_table", "valid_rmse-mean", "valid_rmse-stdv")
    values = [row["validation_rmse"] for row in run.scan_history() if "validation_rmse" in row]
    assert (len(values), run.summary["validation_rmse"]) == (5, {"min": min(values)})
    assert (run.config["num_leaves"], run.summary["best_score"].keys()) == (4, {"validation"})
    assert logged(run)["model_light:v0"] == ["best", "latest"]


def of_catboost(folder: Path) -> None:
    run = the_run("trees")
    has(run, "learn-RMSE", "validation-RMSE", "iteration@metric-period-1", "Feature Importance_table")
    assert (run.config["depth"], run.summary["best_iteration"]) == (2, 4)
    assert logged(run)["model_cat:v0"] == ["best", "latest"]


def of_keras(folder: Path) -> None:
    run = the_run("layers")
    has(run, "epoch/loss", "epoch/mae", "epoch/val_loss", "epoch/epoch", "batch/loss", "batch/batch_step")
    rates = [row["epoch/learning_rate"] for row in run.scan_history() if "epoch/learning_rate" in row]
    assert rates == [pytest.approx(0.05), pytest.approx(0.025)]
    versions = logged(run)
    assert versions["run_keras_model:v0"] == ["epoch_0"]
    assert versions["run_keras_model:v1"] == ["epoch_1", "latest"]
    table = artstore.Api().artifact("layers/run_keras_pred:latest").get("eval_data")
    assert table.columns == ["epoch", "right", "answer"] and len(table.data) == 3
    assert [used.name for used in run.used_artifacts()] == ["val:v0"]


def of_sb3(folder: Path) -> None:
    run = the_run("games")
    assert (run.config["algo"], run.config["env"], run.config["n_steps"]) == ("PPO", "CartPole-v1", 64)
    has(run, "time/fps", "train/loss", "rollout/ep_rew_mean", "global_step")
    assert logged(run) == {"model-ppo:v0": ["latest"]}


def of_accelerate(folder: Path) -> None:
    run = the_run("loops")
    assert (run.id, run.tags, run.config["rate"]) == ("loop", ["small"], 0.1)
    assert [row["_step"] for row in run.scan_history() if "loss" in row] == [0, 1, 2]
    assert set(logged(run)) == {"run-loop-rows:v0"}
    assert [row["pictures"]["count"] for row in run.scan_history() if "pictures" in row] == [2]


def of_trl(folder: Path) -> None:
    run = the_run("chats")
    has(run, "train/loss", "train/mean_token_accuracy", "train/num_tokens", "train/global_step")
    assert (run.name, run.config["vocab_size"]) == ("sft", 6)


def of_sklearn(folder: Path) -> None:
    run = the_run("forests")
    assert run.summary["accuracy"] > 0.5
    assert len(run.summary["confusion"]) == 3
    model = artstore.Api().artifact("forests/forest:best")
    assert model.metadata == {"trees": 5, "depth": 2}
    assert model.get_entry("model.joblib").size == (folder / "model.joblib").stat().st_size


def of_ignite(folder: Path) -> None:
    run = the_run("engines")
    assert [row["training/loss"] for row in run.scan_history()] == [2.0, 1.0, 0.5, 0.25]


def of_ultralytics(folder: Path) -> None:
    run = the_run("boxes")
    has(run, "train/box_loss", "lr/pg0", "metrics/mAP50(B)", "model/parameters", "val/cls_loss")
    assert len([row for row in run.scan_history() if "train/box_loss" in row]) == 2
    pictures = {key for key, value in run.summary.items() if isinstance(value, dict) and "image" in str(value["_type"])}
    assert {"labels", "results", "confusion_matrix"} <= pictures, pictures
    (model,) = [version for version in run.logged_artifacts() if version.type == "model"]
    assert (sorted(model.aliases), list(model.manifest.entries)) == (["best", "latest"], ["best.pt"])


def of_timm(folder: Path) -> None:
    again, run = (artstore.Api().run(f"pictures/{id}") for id in ("timm-again", "timm"))
    assert [row["eval_top1"] for row in run.scan_history()] == [50.0, 50.0]
    assert logged(run) == {"vit:v0": ["last", "latest"]}
    assert [used.name for used in again.used_artifacts()] == ["vit:v0"]
    assert again.summary["size"] == (folder / "out" / "last.pth.tar").stat().st_size


def of_torch(folder: Path) -> None:
    run = the_run("watched")
    rows = list(run.scan_history())
    assert [row["_step"] for row in rows if "gradients/weight" in row] == [1, 3]
    watched = {name for row in rows for name in row if name.startswith(("gradients", "parameters"))}
    second = {f"gradients/graph_1{name}" for name in ("table.weight", "layer.weight", "layer.bias")}
    assert watched == {
        *second,
        *(f"{kind}/{name}" for kind in ("gradients", "parameters") for name in ("weight", "bias")),
    }
    for key, values in (("parameters/weight", 3), ("gradients/graph_1table.weight", 20)):
        assert sum(run.summary[key]["values"]) == values
    assert [row["_step"] for row in rows if "gradients/graph_1layer.bias" in row] == [1, 3, 4]


FRAMEWORKS: dict[str, Callable[[Path], None]] = {
    "lightning_fit": of_lightning,
    "transformers_trainer": of_transformers,
    "torch_watch": of_torch,
    "timm_epochs": of_timm,
    "xgboost_train": of_xgboost,
    "lightgbm_train": of_lightgbm,
    "catboost_fit": of_catboost,
    "keras_fit": of_keras,
    "sb3_learn": of_sb3,
    "accelerate_loop": of_accelerate,
    "trl_sft": of_trl,
    "sklearn_fit": of_sklearn,
    "ignite_run": of_ignite,
    "ultralytics_train": of_ultralytics,
}


def of_torchrun(folder: Path) -> None:
    run = the_run("ranks")
    assert run.config["ranks"] == 2
    assert [row["sum"] for row in run.scan_history()] == [1.0, 2.0, 3.0]


def test_torchrun_and_the_processes_that_it_starts_find_artstore(here: Path) -> None:
    torchrun = Path(python_of_frameworks()).with_name("torchrun")
    done = script("torchrun_ranks", here, torchrun, "--standalone", "--nproc-per-node", "2")
    assert done.returncode == 0, done.stderr[-3000:]
    of_torchrun(here)
    check(here / ".artifacts")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_records_what_it_logs_to_wandb(name: str, here: Path) -> None:
    done = script(name, here)
    assert done.returncode == 0, done.stderr[-3000:]
    FRAMEWORKS[name](here)
    check(here / ".artifacts")


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_log_that_goes_nowhere_is_noticed(name: str, here: Path) -> None:
    """The tests look at what is recorded: where nothing is, they fail."""
    script(name, here, WANDB_MODE="disabled")
    with pytest.raises((AssertionError, ValueError, artstore.Error)):
        FRAMEWORKS[name](here)
