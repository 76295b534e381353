"""What W&B's scripts ask of an active run, and of a recorded one, beside what it recorded."""

import time
from pathlib import Path
from typing import Any

import pytest

import artstore as wandb
from artstore.domain.charts import axes_of, hidden_in, with_metric


def test_an_active_run_has_wandbs_names(here: Path) -> None:
    with wandb.init(project="p", id="r", config={"lr": 1}) as run:
        assert 0 <= time.time() - run.start_time < 100
        folder = here / ".artifacts" / "runs" / "local" / "p"
        assert (run.url, run.get_url(), run.project_url) == ((folder / "r").as_uri(),) * 2 + (folder.as_uri(),)
        assert (run.sync_dir, run.sweep_url) == (str(folder / "r"), None)
        assert "local/p/r" in run.to_html() and run.display() is False
        run.pin_config_keys(["lr"])
        static = run.config_static
        run.config.batch = 2
        assert (static.lr, dict(static)) == (1, {"lr": 1})
        with pytest.raises(AttributeError, match="run.config_static is a readonly object"):
            static.lr = 2
        with pytest.raises(AttributeError, match="readonly"):
            static["new"] = 2
    with wandb.init(mode="disabled") as run:
        assert (run.url, run.project_url) == (None, None)
        run.write_logs("nowhere")


def test_a_recorded_run_has_wandbs_names(here: Path) -> None:
    with wandb.init(id="r") as run:
        run.log({"a": 1})
    record = wandb.Api().run("r")
    assert (record.username, record.storage_id, record.sweep, record.sweep_name) == ("local", "r", None, None)
    assert [row["a"] for row in record.beta_scan_history()] == [1]
    assert "local/uncategorized/r" in record.to_html() and record.display() is False
    assert record.system_metrics == {} and list(record.console_logs()) == []
    for name, why in (("stop", "no server"), ("update_state", "what became"), ("download_history_exports", "parquet")):
        with pytest.raises(wandb.UnsupportedError, match=f"RunRecord has no '{name}': .*{why}"):
            getattr(record, name)


def test_projects_types_and_entries_have_wandbs_names(here: Path) -> None:
    artifact = wandb.Artifact("data", "dataset")
    with artifact.new_file("a.txt") as file:
        file.write("a")
    artifact.save(project="p")
    (project,) = wandb.Api().projects()
    assert project.url == (here / ".artifacts" / "refs" / "local" / "p").as_uri()
    assert "dataset" in project.to_html() and project.display() is False
    assert [kind.id for kind in project.artifact_types()] == ["local/p/dataset"]
    assert wandb.Api().artifact("p/data:latest").get_entry("a.txt").digest_algorithm() == "BLAKE3"


@pytest.mark.parametrize("console", ["off", "wrap"])
def test_text_for_the_log_is_in_the_console_output_and_not_printed(
    here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch, console: str
) -> None:
    monkeypatch.setenv("WANDB_CONSOLE", console)
    with wandb.init(id="r") as run:
        run.write_logs("one")
        run.write_logs("two\n")
    run.write_logs("late")
    lines = list(wandb.Api().run("r").console_logs())
    assert [(line.number, line.content) for line in lines] == [(0, "one"), (1, "two")]
    assert [line.content for line in wandb.Api().run("r").console_logs(last=1)] == ["two"]
    assert capsys.readouterr().out == ""


def test_the_runtime_goes_on_when_a_run_is_continued(here: Path) -> None:
    for number in range(3):
        with wandb.init(id="r", resume="allow") as run:
            time.sleep(0.05)
            run.log({"a": number})
    one, two, three = (row["_runtime"] for row in wandb.Api().run("r").scan_history())
    assert 0.05 <= one < one + 0.05 <= two < two + 0.05 <= three
    with wandb.init(id="r", resume="must"):
        pass
    wandb.Api().run("r").delete()
    with wandb.init(id="r") as run:
        run.log({"a": 1})
    (again,) = wandb.Api().run("r").scan_history()
    assert again["_runtime"] < one


def test_define_metric_records_over_what_a_metric_is_drawn(here: Path) -> None:
    with wandb.init(id="r", config={"lr": 1}) as run:
        run.define_metric("epoch")
        run.define_metric("val/*", step_metric="epoch")
        run.define_metric("loss", step_metric="val/step", summary="min")
        run.define_metric("loss", step_metric="epoch")
        run.log({"loss": 1, "epoch": 1})
        with pytest.raises(TypeError, match=r"Unhandled define_metric\(\) arg: step_metric type: int"):
            run.define_metric("loss", step_metric=3)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(wandb.Error, match="is finished"):
        run.define_metric("loss", step_metric="epoch")
    record = wandb.Api().run("r")
    assert axes_of(record.rawconfig) == {"val/*": "epoch", "loss": "epoch"}
    assert record.config == {"lr": 1} and record.summary["loss"] == {"min": 1}


@pytest.mark.parametrize(
    "defined",
    [
        None,
        3,
        {},
        [3, None],
        [{"1": 3}],
        [{"1": "a", "5": 9}],
        [{"1": "a", "5": "1"}],
        [{"1": "a", "5": 1}],
        [{"5": 1}],
    ],
)
def test_axes_that_others_recorded_wrongly_are_none(defined: Any) -> None:
    assert axes_of({"_wandb": {"m": defined}}) == axes_of({"_wandb": defined}) == {}
    assert hidden_in({"_wandb": {"m": defined}}) == []
    told = with_metric({"_wandb": {"m": defined, "other": 1}}, "loss", "epoch", True)
    assert axes_of(told) == {"loss": "epoch"} and told["_wandb"]["other"] == 1 and hidden_in(told) == ["loss"]


def test_a_download_in_a_disabled_run_leaves_nothing_behind(here: Path) -> None:
    with wandb.init(mode="disabled") as run:
        artifact = wandb.Artifact("model", "model")
        with artifact.new_file("f") as file:
            file.write("1")
        run.log_artifact(artifact)
        folder = run.use_artifact("model:latest").download()
        assert (Path(folder) / "f").read_text() == "1" and not Path(folder).is_relative_to(here)
        assert artifact.verify().files == 1
        assert (Path(artifact.checkout()) / "f").is_file()
        assert Path(artifact.get_entry("f").download()).read_text() == "1"
    assert list(here.iterdir()) == []
