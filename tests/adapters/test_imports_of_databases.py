"""`artstore import mlflow` of `mlflow.db`, which MLflow itself made."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from artstore.repository import Repository
from tests.adapters.test_imports import imported, run_named, unpacked
from tests.support.commands import Cli
from tests.support.folders import snapshot


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return unpacked("mlflowdb", tmp_path) / "mlflow.db"


def changed(database: Path, *statements: str) -> None:
    with sqlite3.connect(database) as opened:
        for statement in statements:
            opened.execute(statement)
    opened.close()


def test_a_database_of_mlflow_is_imported_as_its_files_are(
    database: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    taken, left = imported(cli, "mlflow", "mlflowdb")
    assert left.keys() == {"experiment gone", "digits model 3"}
    good, bad = run_named(repo, "good"), run_named(repo, "bad")
    assert good.path.project == "digits-first" and (good.finished, bad.finished) == ("finished", "failed")
    assert good.config == {"lr": 0.1, "optimizer": "adam", "shuffle": True, "layers": 3} and bad.config == {"lr": "big"}
    assert (good.notes, good.tags) == ("A *good* one", ["team:a"])
    rows = list(repo.run_history(good))
    assert [row["loss"] for row in rows] == [1 / (step + 1) for step in range(20)]
    assert good.summary == {"loss": 0.05, "val/acc": 0.75}
    original = next(path for path in database.parent.glob("mlruns/*/*/artifacts") if (path / "plot.txt").exists())
    assert cli("get", "digits-first/good-artifacts", "--root", "got").code == 0
    assert snapshot(tmp_path / "got") == snapshot(original)
    assert [edge["name"] for edge in good.logged.values()] == ["good-artifacts"]
    champion = repo.find("registry-mlflow/digits-model:champion")
    assert champion.state.description == "Reads digits" and champion.version["source"]["name"] == "digits-model"
    assert repo.properties(champion)[1]["mlflow"]["tags"] == {"checked": "yes"}
    assert "local/digits-first/net:v0" in taken.values(), "a logged model"
    assert imported(cli, "mlflow", "mlflowdb/mlflow.db")[0] == {}, "a second import adds nothing"


def test_without_a_place_the_database_in_the_working_folder_is_imported(database: Path, cli: Cli) -> None:
    done = cli("import", "mlflow", cwd=database.parent)
    assert done.code == 0 and "imported 4 versions and 2 runs" in done.out
    assert (database.parent / ".artifacts/format").is_file()


def test_an_import_changes_nothing_in_a_database(database: Path, cli: Cli) -> None:
    before = snapshot(database.parent)
    imported(cli, "mlflow", "mlflowdb")
    assert snapshot(database.parent) == before


def test_a_database_leads_to_no_other_folder_of_yours(
    database: Path, repo: Repository, cli: Cli, tmp_path: Path
) -> None:
    secret = tmp_path / "secret/artifacts"
    secret.mkdir(parents=True)
    (secret / "key").write_text("secret")
    changed(
        database, f"UPDATE runs SET artifact_uri = '{secret}'", f"UPDATE logged_models SET artifact_location = '{secret}'",
        f"UPDATE model_versions SET source = 'file://{secret}', storage_location = '{secret}/../artifacts'",
    )  # fmt: skip
    taken, left = imported(cli, "mlflow", "mlflowdb")
    assert sorted(taken) == ["run bad", "run good"] and {"digits model 1", "digits model 4"} <= left.keys()
    shutil.rmtree(database.parent / "mlruns")
    (database.parent / "mlruns").symlink_to(tmp_path / "secret")
    changed(database, "UPDATE runs SET artifact_uri = '/x/mlruns/artifacts'")
    for state in list(repo.runs.all()):
        repo.delete_run(state.path)
    assert sorted(imported(cli, "mlflow", "mlflowdb")[0]) == ["run bad", "run good"]


@pytest.mark.parametrize(
    "forged",
    [
        "CREATE VIEW runs AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c",
        "CREATE TABLE runs (run_uuid TEXT, experiment_id INT, start_time AS (zeroblob(1000000000)))",
        "CREATE VIRTUAL TABLE runs USING fts5(run_uuid, experiment_id)",
    ],
)
def test_a_forged_database_costs_neither_time_nor_memory(database: Path, cli: Cli, forged: str) -> None:
    changed(database, "PRAGMA foreign_keys=OFF", "DROP TABLE runs", forged)
    start = time.process_time()
    done = cli("import", "mlflow", "mlflowdb")
    assert done.code == 4 and "has no tables of MLflow's" in done.err and time.process_time() - start < 5


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"x" * 5000, b"no database"])
def test_a_file_that_is_no_database_is_told(database: Path, cli: Cli, content: bytes) -> None:
    database.write_bytes(content)
    done = cli("import", "mlflow", "mlflowdb")
    assert done.code in (4, 7) and "mlflow.db" in done.err and "bug" not in done.err


def test_a_database_that_is_a_link_is_not_read(database: Path, cli: Cli, tmp_path: Path) -> None:
    os.rename(database, tmp_path / "elsewhere.db")
    database.symlink_to(tmp_path / "elsewhere.db")
    done = cli("import", "mlflow", "mlflowdb")
    assert done.code == 7 and "leads out of" in done.err
