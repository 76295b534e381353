"""Records of runs: names, modes, config, history, queries, and tables, models and code that were logged."""

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.errors import ArtstoreError, NotFound
from artstore.repository import Repository
from tests.support.artifacts import draft, log
from tests.support.folders import make_tree
from tests.support.runs import record, root, rows

# -- what it is called, modes ----------------------------------------------------------------------------


def test_name_notes_tags_and_group_are_recorded_and_can_change(here: Path) -> None:
    with wandb.init(id="r", name="a", group="g", tags=("x", "y"), notes="why", job_type="train") as run:
        assert (run.name, run.group, run.tags, run.notes, run.job_type) == ("a", "g", ("x", "y"), "why", "train")
        run.name, run.notes = "b", None
        run.tags += ("z",)
    found = wandb.Api().run("r")
    assert (found.name, found.display_name, found.notes, found.tags) == ("b", "b", None, ["x", "y", "z"])
    assert (found.group, found.job_type, found.path) == ("g", "train", ["local", "uncategorized", "r"])


@pytest.mark.parametrize("bad", [{"name": 1}, {"tags": [1]}, {"notes": 2.5}, {"group": 3}, {"job_type": {}}], ids=str)
def test_names_that_are_no_text_are_refused_and_the_run_before_goes_on(here: Path, bad: dict[str, Any]) -> None:
    before = wandb.init(id="before")
    with pytest.raises(TypeError) as caught:
        wandb.init(id="r", **bad)
    assert isinstance(caught.value, ArtstoreError)
    assert wandb.run is before
    before.log({"a": 1})


@pytest.mark.parametrize("id", ["", "a/b", "a:b", "..", ".", "a\nb", "x" * 129, "a\\b", "a?b"])
def test_ids_that_are_not_allowed_are_refused(here: Path, id: str) -> None:
    if id:
        with pytest.raises(ValueError):
            wandb.init(id=id)
        assert wandb.run is None
    else:
        wandb.init(id=id).finish()  # as if none was given
        assert len(wandb.Api().runs()[0].id) == 8


@pytest.mark.parametrize("mode", ["online", "offline", "dryrun", "run", "shared"])
def test_all_modes_but_disabled_record_alike(here: Path, mode: str) -> None:
    record("r", [{"a": 1}], mode=mode)
    assert rows("r") == [{"_step": 0, "a": 1}]


def test_a_disabled_run_leaves_nothing_behind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with wandb.init(config={"lr": 1}) as run:
        run.log({"a": 1})
        run.log({"t": wandb.Table(columns=["x"], data=[[1]])})
        run.log_artifact(draft())
        assert run.summary["a"] == 1 and run.config.lr == 1 and run.disabled
        run.define_metric("a", summary="min")
    assert os.listdir(here) == []


def test_an_unknown_mode_is_refused_in_a_sentence(here: Path) -> None:
    with pytest.raises(ValueError, match="mode 'sometimes' is not one of online, offline"):
        wandb.init(mode="sometimes")


# -- records ---------------------------------------------------------------------------------------------


def test_history_samples_evenly_and_scan_history_gives_all(here: Path) -> None:
    pandas = pytest.importorskip("pandas")
    record("r", [{"a": n} if n % 2 else {"a": n, "b": -n} for n in range(1000)])
    run = wandb.Api().run("r")
    frame = run.history()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 500
    assert frame["_step"].is_monotonic_increasing and frame["_step"].iloc[0] == 0 and frame["_step"].iloc[-1] >= 998
    ten = run.history(samples=10, pandas=False)
    assert [row["_step"] for row in ten] == list(range(0, 1000, 100))
    both = run.history(keys=["a", "b"], pandas=False)
    assert all(set(row) == {"_step", "a", "b"} for row in both) and len(both) == 500
    assert [row["a"] for row in run.scan_history(keys=["a", "b"])] == list(range(0, 1000, 2))
    scanned = list(run.scan_history(keys=["b"], min_step=10, max_step=15))
    assert scanned == [{"_step": 10, "b": -10}, {"_step": 12, "b": -12}, {"_step": 14, "b": -14}]
    assert [row["_step"] for row in run.scan_history(min_step=997)] == [997, 998, 999]
    assert list(run.scan_history(keys=["nothing"])) == []
    assert run.last_history_step == run.lastHistoryStep == 999
    with pytest.raises(TypeError, match="keys (must be specified in|argument must be) a list"):
        run.scan_history(keys="a")  # type: ignore[arg-type]


def test_config_that_names_an_artifact_is_recorded_as_used(here: Path) -> None:
    data = log(draft())
    with wandb.init(id="r", config={"data": data, "lr": 1}) as run:
        run.config["other"] = draft("second", "2")
        assert run.config["data"].id == data.id
    found = wandb.Api().run("r")
    assert sorted(artifact.name for artifact in found.used_artifacts()) == ["data:v0", "second:v0"]
    told = found.config["data"]
    assert told["_type"] == "artifactVersion" and told["id"] == data.id and told["version"] == "v0"
    assert [run.id for run in data.used_by()] == ["r"]


def test_config_takes_a_value_once_unless_it_may_change(here: Path) -> None:
    with wandb.init(id="r", config={"lr": 1, "n": math.inf}) as run:
        with pytest.raises(ValueError, match='Attempted to change value of key "lr" from 1 to 2'):
            run.config.lr = 2
        run.config.update({"lr": 3, "new": (1, 2)}, allow_val_change=True)
        run.config.setdefaults({"lr": 9, "deep": {"a": {"b": 1}}})
        assert run.config.lr == 3 and run.config["deep"]["a"]["b"] == 1
    config = wandb.Api().run("r").config
    assert (config["lr"], config["new"], config["deep"]) == (3, [1, 2], {"a": {"b": 1}})
    assert json.loads(wandb.Api().run("r").json_config)["lr"] == 3


def test_a_deleted_run_takes_its_artifacts_along_only_when_asked(here: Path) -> None:
    for run in ("one", "two"):
        with wandb.init(id=run) as active:
            active.log_artifact(draft(f"data-{run}"))
    wandb.Api().run("one").delete()
    wandb.Api().run("two").delete(delete_artifacts=True)
    assert wandb.Api().artifact_exists("data-one") and not wandb.Api().artifact_exists("data-two")
    with pytest.raises(NotFound):
        wandb.Api().run("one").delete()


def test_delete_with_artifacts_leaves_those_that_an_alias_or_a_link_holds(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log_artifact(draft("held"), aliases=["prod"])
        run.log_artifact(draft("linked")).link("registry-x/y")
        run.log_artifact(draft("free"))
    wandb.Api().run("r").delete(delete_artifacts=True)
    assert wandb.Api().artifact_exists("held:prod") and wandb.Api().artifact_exists("linked:v0")
    assert not wandb.Api().artifact_exists("free")
    assert list(wandb.Api().runs()) == []


# -- queries ---------------------------------------------------------------------------------------------


@pytest.fixture
def three(here: Path) -> list[str]:
    record(
        "a",
        [{"acc": 0.5, "best": {"max": 1}}],
        config={"lr": 0.1, "opt": {"name": "adam"}, "x.y": 1},
        tags=["t", "u"],
        group="g",
    )
    record(
        "b",
        [{"acc": 0.9}],
        config={"lr": 0.01, "opt": {"name": "sgd"}, "flag": True},
        tags=["t"],
        name="bee",
        job_type="train",
    )
    wandb.init(id="c", config={"lr": "auto"}, notes="hello").finish(1)
    return ["a", "b", "c"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({}, "abc"),
        ({"config.lr": 0.1}, "a"), ({"config.lr": {"$eq": 0.01}}, "b"), ({"config.lr": {"$ne": 0.1}}, "bc"),
        ({"config.lr": {"$lt": 0.1}}, "b"), ({"config.lr": {"$lte": 0.1}}, "ab"), ({"config.lr": {"$gt": 0.01}}, "a"),
        ({"config.lr": {"$gte": 0.01, "$lt": 0.1}}, "b"),
        ({"config.lr": {"$in": [0.1, "auto"]}}, "ac"), ({"config.lr": {"$nin": [0.1, "auto"]}}, "b"),
        ({"config.flag": {"$exists": True}}, "b"), ({"config.flag": {"$exists": False}}, "ac"), ({"config.flag": 1}, ""),
        ({"config.opt.name": "adam"}, "a"), ({"config.x.y": 1}, "a"), ({"config.opt.name": {"$regex": "^s"}}, "b"),
        ({"summary_metrics.acc": {"$gt": 0.6}}, "b"), ({"summary.best.max": 1}, "a"), ({"summary_metrics.acc": None}, "c"),
        ({"state": "failed"}, "c"), ({"state": {"$ne": "failed"}}, "ab"), ({"state": {"$in": ["finished", "crashed"]}}, "ab"),
        ({"tags": "u"}, "a"), ({"tags": {"$in": ["t", "z"]}}, "ab"), ({"tags": {"$nin": ["u"]}}, "bc"),
        ({"name": "b"}, "b"), ({"id": "b"}, "b"), ({"displayName": "bee"}, "b"), ({"display_name": {"$regex": "ee"}}, "b"),
        ({"jobType": "train"}, "b"), ({"job_type": "train"}, "b"), ({"group": "g"}, "a"), ({"notes": {"$contains": "ell"}}, "c"),
        ({"createdAt": {"$gt": "2020-01-01"}}, "abc"), ({"created_at": {"$lt": "2020-01-01T00:00:00"}}, ""),
        ({"$or": [{"name": "a"}, {"state": "failed"}]}, "ac"), ({"$and": [{"tags": "t"}, {"tags": "u"}]}, "a"),
        ({"$not": {"name": "a"}}, "bc"), ({"$nor": [{"name": "a"}, {"name": "b"}]}, "c"), ({"name": {"$not": {"$in": ["a"]}}}, "bc"),
        ({"tags": "t", "config.lr": {"$not": {"$gt": 0.05}}}, "b"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:the filter found nothing")
def test_runs_that_fit_a_filter(three: list[str], condition: dict[str, Any], expected: str) -> None:
    assert "".join(run.id for run in wandb.Api().runs(filters=condition)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("+created_at", "abc"), ("-created_at", "cba"), ("created_at", "abc"), ("-heartbeat_at", "cba"),
        ("+summary_metrics.acc", "abc"), ("-summary_metrics.acc", "bac"), ("-config.lr", "cab"), ("+config.lr.value", "bac"),
    ],
)  # fmt: skip
def test_runs_in_an_order(three: list[str], order: str, expected: str) -> None:
    found = "".join(run.id for run in wandb.Api().runs(order=order))
    assert found == expected or ("config.lr" in order and found.replace("c", "") == expected.replace("c", ""))


@pytest.mark.parametrize(
    "condition",
    [
        {"confg.lr": 1}, {"state": {"$gr": 1}}, {"$xor": []}, {"$and": {"name": "a"}}, {"name": {"$in": "a"}}, [1], "name",
        {"name": {"$regex": "("}}, {"name": {"$regex": 1}}, {"name": {"$eq": "a", "x": 1}}, {"state.x": 1}, {5: 1}, {None: 1},
        {"name": {"$eq": 1, 5: 2}}, {"": 1}, {"$or": [1]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_wrong_filter_is_an_error_in_one_sentence(here: Path, condition: Any) -> None:
    record("a", [])
    with pytest.raises((ValueError, TypeError)) as caught:
        list(wandb.Api().runs(filters=condition))
    assert isinstance(caught.value, ArtstoreError), repr(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_filter_is_told_where_there_are_no_runs_yet(here: Path) -> None:
    Repository.init(root()).close()
    with pytest.raises(ValueError, match="there is no field 'confg.lr' to filter by"):
        list(wandb.Api().runs(filters={"confg.lr": 1}))


@pytest.mark.parametrize("order", ["+nothing", "-confg.lr"])
def test_a_wrong_order_is_an_error_in_one_sentence(three: list[str], order: str) -> None:
    with pytest.raises(ValueError) as caught:
        wandb.Api().runs(order=order)
    assert isinstance(caught.value, ArtstoreError)


def test_runs_are_a_listing(three: list[str]) -> None:
    found = wandb.Api().runs()
    assert len(found) == 3 and found[0].id == "a" and [run.id for run in found[1:]] == ["b", "c"]
    assert found[-1] == wandb.Api().run("c") and len(set(found)) == 3
    assert list(wandb.Api().runs("elsewhere")) == []
    assert wandb.Api().run("local/uncategorized/runs/a").id == "a"
    with pytest.raises(NotFound):
        wandb.Api().run("d")


# -- tables, media, models, code -------------------------------------------------------------------------


def test_a_table_that_is_logged_becomes_an_artifact(here: Path) -> None:
    table = wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]])
    with wandb.init(id="r") as run:
        run.log({"val/predictions": table, "acc": 1})
    (artifact,) = wandb.Api().run("r").logged_artifacts()
    assert artifact.type == "run_table" and artifact.name.startswith("run-r-")
    assert artifact.get("val/predictions") == table
    (row,) = rows("r")
    assert row["acc"] == 1 and (row["val/predictions"]["ncols"], row["val/predictions"]["nrows"]) == (2, 2)


def test_log_code_takes_source_files_alone(here: Path) -> None:
    make_tree(
        here / "src",
        {"a.py": "1", "d/b.py": "2", "c.bin": "3", "requirements.txt": "x", ".git/x.py": "", "notes.md": ""},
    )
    with wandb.init(id="r") as run:
        code = run.log_code("src")
        assert code is not None and code.type == "code"
        assert sorted(code.manifest.entries) == ["a.py", "d/b.py", "requirements.txt"]
        chosen = run.log_code("src", name="chosen", include_fn=lambda path: path.endswith(".md"))
        assert chosen is not None and list(chosen.manifest.entries) == ["notes.md"]
        without = run.log_code(
            "src", name="w", exclude_fn=lambda path, root: os.path.relpath(path, root).startswith("d/")
        )
        assert without is not None and "d/b.py" not in without.manifest.entries
        assert run.log_code("src", include_fn=lambda path: False) is None
    assert len(wandb.Api().run("r").logged_artifacts()) == 3


def test_a_model_is_logged_and_used_by_name(here: Path) -> None:
    make_tree(here, {"net.bin": "weights", "folder/a": "1", "folder/b": "2"})
    with wandb.init(id="r") as run:
        run.log_model("net.bin", "net", aliases=["best"])
        run.log_model("folder", "many")
    with wandb.init(id="s") as run:
        assert Path(run.use_model("net:best")).read_text() == "weights"
        assert sorted(os.listdir(run.use_model("many"))) == ["a", "b"]
        run.log_artifact(draft("data"))
        with pytest.raises(ValueError, match="You can only use this method for 'model' artifacts"):
            run.use_model("data")
    assert [artifact.name for artifact in wandb.Api().run("s").used_artifacts()][:2] == ["net:v0", "many:v0"]
