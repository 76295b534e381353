"""Makes the repositories that the tests of `artstore import` read, by the packages themselves.

    VENV/bin/python tests/adapters/imports/make.py dvc|mlflow|mlflowdb FOLDER

Run each with its package installed; the archives beside this file say in their names which version made them. That of W&B is
made anew by each test: it holds absolute paths.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def tree(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_dvc(folder: Path) -> str:
    """A folder and a file over four commits and two tags, a pipeline, an output without a cache, one that is gone."""
    import dvc

    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"))
    }
    os.environ |= who | {"DVC_NO_ANALYTICS": "1"}

    def run(*command: str, date: str = "2024-01-01T00:00:00Z") -> None:
        dated = os.environ | {
            "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_DATE": date,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        subprocess.run(command, cwd=folder, check=True, env=dated, stdout=subprocess.DEVNULL)

    run("git", "init", "-q", "-b", "main")
    run("dvc", "init", "-q")
    tree(folder, {"data/a.csv": "1\n", "data/deep/b c.txt": "b", "model.bin": "m0"})
    run("dvc", "add", "-q", "data", "model.bin")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "first", date="2024-01-01T10:00:00Z")
    run("git", "tag", "v1.0")
    tree(folder, {"data/a.csv": "1\n2\n"})
    run("dvc", "add", "-q", "data")
    run("git", "commit", "-qam", "second", date="2024-01-02T10:00:00Z")
    tree(folder, {"model.bin": "gone"})
    run("dvc", "add", "-q", "model.bin")
    run("git", "commit", "-qam", "third", date="2024-01-03T10:00:00Z")
    run("git", "tag", "lost")
    tree(folder, {"model.bin": "m1", "params.yaml": "n: 3\n"})
    run("dvc", "add", "-q", "model.bin")
    run("dvc", "stage", "add", "-q", "-n", "count", "-d", "data", "-p", "n", "-o", "counts/out.txt", "-O", "uncached.txt",
        "mkdir -p counts && echo 3 > counts/out.txt && echo 4 > uncached.txt")  # fmt: skip
    run("dvc", "repro", "-q")
    run("git", "add", "-A")
    run("git", "commit", "-qm", "fourth", date="2024-01-04T10:00:00Z")
    run("git", "tag", "-m", "released", "release/2")
    from hashlib import md5

    gone = md5(b"gone").hexdigest()
    os.unlink(folder / ".dvc/cache/files/md5" / gone[:2] / gone[2:])
    return f"dvc-{dvc.__version__}"


def make_mlflow(folder: Path) -> str:
    """A store of files."""
    os.environ |= {"MLFLOW_TRACKING_URI": (folder / "mlruns").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    return f"mlflow-{_fill(folder)}"


def make_mlflowdb(folder: Path) -> str:
    """MLflow's default: a SQLite database, and the artifacts in `mlruns/`. With a model that a run logged."""
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
    version = _fill(folder)
    from mlflow import MlflowClient

    client = MlflowClient()
    model = client.create_logged_model(client.get_experiment_by_name("digits / first").experiment_id, name="net")
    tree(folder, {"net/w.bin": "net"})
    client.log_model_artifacts(model.model_id, str(folder / "net"))
    client.finalize_logged_model(model.model_id, "READY")
    client.create_model_version("digits model", f"models:/{model.model_id}")
    client.create_experiment("gone")
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    subprocess.run(["rm", "-r", str(folder / "net")], check=True)
    return f"mlflowdb-{version}"


def _fill(folder: Path) -> str:
    """Two experiments; a run that finished with params, metrics, artifacts, one that failed; a registered model."""
    os.chdir(folder)  # which is no git repository
    import mlflow
    from mlflow import MlflowClient

    client = MlflowClient()
    mlflow.set_experiment("digits / first")
    tree(
        folder,
        {
            "out/plot.txt": "plot",
            "out/deep/b c.bin": "x" * 1000,
            "weights/w.bin": "weights",
            "weights/MLmodel": "flavors: {}\n",
        },
    )
    with mlflow.start_run(run_name="good", tags={"team": "a"}, description="A *good* one") as run:
        mlflow.log_params({"lr": 0.1, "optimizer": "adam", "shuffle": True, "layers": 3})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
            if step % 5 == 0:
                mlflow.log_metric("val/acc", step / 20, step=step)
        mlflow.log_artifacts(str(folder / "out"))
        mlflow.log_artifacts(str(folder / "weights"), "model")
        good = run.info.run_id
    try:
        with mlflow.start_run(run_name="bad"):
            mlflow.log_param("lr", "big")
            raise ValueError
    except ValueError:
        pass
    mlflow.set_experiment("empty")
    client.create_registered_model("digits model", description="Reads digits")
    for number in (1, 2):
        version = client.create_model_version(
            "digits model", f"runs:/{good}/model", run_id=good, description=f"version {number}"
        )
        client.set_model_version_tag("digits model", version.version, "checked", "yes")
    client.set_registered_model_alias("digits model", "champion", "2")
    client.create_model_version("digits model", "/nowhere/at/all", run_id=None)
    for name in ("out", "weights"):
        subprocess.run(["rm", "-r", str(folder / name)], check=True)
    return str(mlflow.__version__)


def make_wandb(folder: Path) -> str:
    """An offline run with config, history, summary and an artifact; and a downloaded artifact's folder."""
    os.environ |= {
        "WANDB_MODE": "offline",
        "WANDB_DIR": str(folder),
        "WANDB_DATA_DIR": str(folder / "data"),
        "WANDB_SILENT": "true",
    }
    import wandb

    tree(
        folder,
        {
            "d/a.txt": "a",
            "d/sub/b c.txt": "b" * 1000,
            "artifacts/digits:v3/x.csv": "1\n",
            "artifacts/digits:v3/deep/y": "y",
        },
    )
    config = {"lr": 0.1, "model": {"layers": 2}}
    with wandb.init(
        project="proj", entity="me", id="abcd1234", name="nice", config=config, job_type="train", group="g", tags=["t"], notes="n",
        settings=wandb.Settings(console="off"),
    ) as run:  # fmt: skip
        for step in range(10):
            run.log({"loss": 1 / (step + 1), "acc": {"top1": step}})
        artifact = wandb.Artifact("data", "dataset", description="said", metadata={"k": 1})
        artifact.add_dir(str(folder / "d"))
        artifact.manifest.entries["sub/b c.txt"].extra |= {"label": "b", "boxes": [[0, 0.5], None]}
        run.log_artifact(artifact, aliases=["best"])
        run.summary["final"] = 3
        run.config.update({"late": True})
    subprocess.run(["rm", "-r", str(folder / "d")], check=True)
    return f"wandb-{wandb.__version__}"


def main() -> None:
    tool, target = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / tool
        folder.mkdir()
        name = globals()[f"make_{tool}"](folder)
        with tarfile.open(target / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(folder, tool)
    print(name)


if __name__ == "__main__":
    main()
