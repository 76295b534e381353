"""Settings of runs: W&B's fields, where they come from, and config from files."""

import datetime
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import artstore as wandb
from tests.support.artifacts import draft
from tests.support.folders import make_tree
from tests.support.together import script


def test_fields_of_wandb_are_accepted_and_others_refused() -> None:
    settings = wandb.Settings(init_timeout=120, run_name="a", silent="true", x_stats_sampling_interval="5")
    assert (settings.init_timeout, settings.silent, settings.x_stats_sampling_interval) == (120, True, 5.0)
    assert (settings.console, settings.x_save_requirements, settings.run_id) == ("auto", True, None)
    settings.quiet = True
    assert repr(wandb.Settings(run_name="a", api_key="abc")) == "Settings(run_name='a', api_key=***)"
    for wrong in ({"run_nam": "a"}, {"silent": "perhaps"}, {"console": "loud"}, {"x_stats_sampling_interval": "often"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}"):
            wandb.Settings(**wrong)
    with pytest.raises(ValueError, match="Settings has no field 'nonsense'"):
        settings.nonsense = 1
    with pytest.raises(AttributeError):
        _ = settings.nonsense


def test_the_last_of_environment_setup_settings_and_arguments_counts(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("artstore.api.settings._of_process", wandb.Settings())
    monkeypatch.setenv("WANDB_NAME", "of the environment")
    monkeypatch.setenv("WANDB_HEARTBEAT_SECONDS", "7")
    with wandb.init() as run:
        assert (run.name, run.settings.heartbeat_seconds) == ("of the environment", 7)
    wandb.setup(settings=wandb.Settings(run_name="of setup", run_group="g"))
    with wandb.init() as run:
        assert (run.name, run.group) == ("of setup", "g")
    with wandb.init(settings={"run_name": "of settings"}) as run:
        assert (run.name, run.group) == ("of settings", "g")
    with wandb.init(name="of an argument", settings={"run_name": "of settings"}) as run:
        assert run.name == "of an argument"
    with pytest.raises(ValueError, match="no field 'run_nmae'"):
        wandb.init(settings={"run_nmae": "x"})
    with pytest.raises(TypeError, match="settings must be"):
        wandb.init(settings=3)


def test_a_run_knows_its_sweep_and_its_first_step(here: Path) -> None:
    with wandb.init(id="r", settings=wandb.Settings(sweep_id="s1")) as run:
        assert (run.sweep_id, run.starting_step) == ("s1", 0)
        run.log({"a": 1})
        run.log({"a": 2})
    with wandb.init(id="r", resume="must") as run:
        assert (run.sweep_id, run.starting_step) == (None, 2)
    assert wandb.Api().run("r").lastHistoryStep == 1


@dataclass
class Options:
    lr: float = 0.1
    layers: int = 3


@pytest.mark.parametrize("given", [Options(), SimpleNamespace(lr=0.1, layers=3), {"lr": 0.1, "layers": 3}])
def test_config_takes_what_holds_values(here: Path, given: Any) -> None:
    with wandb.init(config=given) as run:
        assert run.config.as_dict() == {"lr": 0.1, "layers": 3}


def test_config_of_yaml_files_and_defaults_of_the_working_folder(here: Path) -> None:
    pytest.importorskip("yaml")
    make_tree(
        here,
        {
            "c.yaml": "wandb_version: 1\nlr:\n  desc: rate\n  value: 0.5\nlayers: 2\n",
            "bad.yaml": "a: [",
            "list.yaml": "- 1",
        },
    )
    with wandb.init(config="c.yaml") as run:
        assert run.config.as_dict() == {"lr": 0.5, "layers": 2}
    make_tree(here, {"config-defaults.yaml": "lr: {value: 0.1}\nseed: {value: 7}\n"})
    with wandb.init(config={"lr": 0.9}) as run:
        assert run.config.as_dict() == {"lr": 0.9, "seed": 7}
    for name, what in (("bad.yaml", "is not readable as YAML"), ("list.yaml", "must hold names and values")):
        with pytest.raises(ValueError, match=f"config file '{name}' {what}"):
            wandb.init(config=name)


def test_a_uri_of_an_artifact_in_config_is_that_artifact(here: Path) -> None:
    with wandb.init(project="p") as run:
        run.log_artifact(str(make_tree(here / "data", {"a": "1"})), name="data")
    with wandb.init(
        project="q", id="r", config={"data": "wandb-artifact://p/data:latest", "other": "wandb-artifact://_id/abc"}
    ) as run:
        assert run.config["data"].name == "data:v0" and run.config["other"] == "wandb-artifact://_id/abc"
    recorded = wandb.Api().run("q/r")
    assert [used.name for used in recorded.used_artifacts()] == ["data:v0"]
    assert recorded.config["data"]["sequenceName"] == "data"


@pytest.mark.parametrize("make", [lambda: wandb.Histogram([1]), lambda: wandb.Table(columns=["a"]), wandb.Molecule])
def test_media_and_tables_are_refused_in_config(here: Path, make: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Molecule
        value = make()
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"WBValue objects cannot be added to the run config: 'x' is of type {kind}"):
        wandb.init(config={"x": value})
    with wandb.init(id="r") as run, pytest.raises(TypeError, match="WBValue objects"):
        run.config.x = value
    record = wandb.Api().run("r")
    record.config["x"] = value
    with pytest.raises(TypeError, match="WBValue objects"):
        record.update()


class Formless:
    """Its text is its address."""


@pytest.mark.parametrize(
    ("config", "key", "kind"),
    [
        ({"net": Formless()}, "net", "Formless"),
        ({"a": {"b": [1, Formless()]}}, "a.b.1", "Formless"),
        ({"a": [wandb.Histogram([1])]}, "a.0", "Histogram"),
    ],
)
def test_config_warns_of_a_value_of_which_only_a_text_is_kept(here: Path, config: Any, key: str, kind: str) -> None:
    with pytest.warns(UserWarning, match=rf"recorded config '{key}' as text: .* no form for .*{kind} values") as said:
        wandb.init(config=config)
    assert [warning.filename for warning in said] == [__file__]


def test_config_says_nothing_of_values_that_have_a_form(here: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        config = {"a": [1, None, "x"], "p": Path("x"), "f": len, "t": (1, {2}), "d": datetime.date(2026, 1, 2)}
        with wandb.init(config=config) as run:
            run.config.update({"again": dict(run.config)})


@pytest.mark.parametrize("make", [dict, wandb.Settings])
def test_settings_of_a_save_without_a_run_are_of_the_run_that_it_records(here: Path, make: Any) -> None:
    draft().save(settings=make(run_id="r", run_name="made", project="p", run_tags=["t"], run_group="g", resume=True))
    run = wandb.Api().run("p/r")
    assert (run.name, run.tags, run.group, run.job_type, run.state) == ("made", ["t"], "g", "auto", "finished")
    draft("other").save(project="q", settings=make(project="p"))
    assert wandb.Api().artifact("q/other:v0").name == "other:v0"
    draft("nowhere").save(settings=make(mode="disabled"))
    assert not wandb.Api().artifact_exists("nowhere:v0")


def test_wrong_settings_of_a_save_or_of_setup_are_refused(here: Path) -> None:
    for act in (lambda of: draft().save(settings=of), wandb.setup):
        with pytest.raises(ValueError, match="Settings has no field 'run_nam'"):
            act({"run_nam": "x"})
        with pytest.raises(TypeError, match="settings must be a Settings object or a dict"):
            act(3)


def test_what_setup_sets_is_of_all_runs_of_the_process(here: Path) -> None:
    script(
        "artstore.setup({'run_group': 'g', 'project': 'p'}); artstore.init(id='a').finish()\n"
        "draft = artstore.Artifact('data', 'dataset')\n"
        "draft.save(settings={'run_id': 'b'})"
    )
    assert [wandb.Api().run(f"p/{id}").group for id in "ab"] == ["g", "g"]
