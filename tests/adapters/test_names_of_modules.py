"""Names of W&B's inner modules that scripts import: what they tell of values and of the environment, and what is refused."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import artstore as wandb
from artstore import env, util


def test_util_tells_what_a_value_is() -> None:
    pandas = pytest.importorskip("pandas")
    assert util.is_numpy_array(np.zeros(1)) and not util.is_numpy_array([0])
    frame = pandas.DataFrame({"a": [1]})
    assert util.is_pandas_data_frame(frame) and not util.is_pandas_data_frame({"a": 1})
    assert util.is_pandas_data_frame_typename(util.get_full_typename(frame))
    assert not util.is_pytorch_tensor(frame) and not util.is_tf_tensor(frame)
    for kind, name in (
        ("pytorch_tensor", "torch.Tensor"), ("tf_tensor", "tensorflow.python.Tensor"), ("plotly", "plotly.x.Figure"),
        ("tf_eager_tensor", "tensorflow.python.EagerTensor"), ("jax_tensor", "jaxlib.xla.ArrayImpl"),
        ("matplotlib", "matplotlib.figure.Figure"), ("plotly_figure", "plotly.x.Figure"),
        ("fastai_tensor", "fastai.torch_core.TensorImage"),
    ):  # fmt: skip
        tells = getattr(util, f"is_{kind}_typename")
        assert tells(name) and not tells("builtins.int")
    assert [util.alias_is_version_index(alias) for alias in ("v0", "v12", "latest", "v", "vx")] == [
        True,
        True,
        *[False] * 3,
    ]
    assert issubclass(util.UsageError, wandb.Error)


def test_util_finds_the_figure_of_a_plot() -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, axes = pyplot.subplots()
    assert util.ensure_matplotlib_figure(axes) is figure and not util.matplotlib_contains_images(figure)
    axes.imshow(np.zeros((2, 2)))
    assert util.matplotlib_contains_images(pyplot)
    pyplot.close(figure)
    with pytest.raises(ValueError, match="Only matplotlib"):
        util.ensure_matplotlib_figure(3)


def test_env_reads_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (env.get_run(), env.get_dir("x"), env.get_base_url(), env.get_username(), env.get_tags()) == (
        None, "x", None, None, [],
    )  # fmt: skip
    assert (env.get_artifact_dir(), env.is_offline(), env.is_quiet()) == (str(here / "artifacts"), False, False)
    for name, value in {"RUN_ID": "r", "TAGS": "a,b", "MODE": "offline", "SILENT": "true", "QUIET": "1"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert (env.get_run(), env.get_tags(), env.is_offline()) == ("r", ["a", "b"], True)
    assert env.is_silent() and env.is_quiet()
    monkeypatch.setenv("WANDB_PROJECT", "")
    monkeypatch.setenv("WANDB_ENTITY", "")
    env.set_project("p")
    env.set_entity("e")
    assert (env.get_project(), env.get_entity()) == ("p", "e")
    assert [env.strtobool(word) for word in ("Yes", "off")] == [True, False]
    with pytest.raises(ValueError, match="invalid truth value 'perhaps'"):
        env.strtobool("perhaps")


@pytest.mark.parametrize(
    ("module", "name", "ours"),
    [
        ("apis", "Api", "Api"), ("apis", "PublicApi", "Api"), ("data_types", "box3d", "box3d"), ("sdk", "sweep", "sweep"),
        ("sdk", "_watch", "watch"), ("sdk.wandb_run", "finish", "finish"), ("sdk.data_types.eval_table", "EvalTable", "EvalTable"),
    ],
)  # fmt: skip
def test_a_module_has_the_name_that_the_package_has(module: str, name: str, ours: str) -> None:
    assert getattr(importlib.import_module(f"artstore.{module}"), name) is getattr(wandb, ours)


@pytest.mark.parametrize(
    ("module", "name", "why"),
    [
        ("data_types", "Graph", "it draws no graphs"), ("data_types", "WBTraceTree", "traces of language models"),
        ("apis.public", "Sweep", "there are no sweeps"), ("apis.public", "Team", "there are no accounts"),
        ("apis.public", "BetaReport", "there are no reports"), ("apis.public", "Job", "it starts no jobs"),
        ("data_types", "_dtypes", "the types of columns are Python's"),
    ],
)  # fmt: skip
def test_a_name_that_means_nothing_here_says_why(module: str, name: str, why: str) -> None:
    found: Any = importlib.import_module(f"artstore.{module}")
    with pytest.raises(AttributeError, match=f"has no '{name}': {why}"):
        getattr(found, name)


@pytest.mark.parametrize(
    "module",
    [
        "sdk.data_types.trace_tree", "sdk.launch", "agents", "docker", "apis.normalize", "sdk.lib.run_moment",
        "sdk.data_types._dtypes", "sdk.artifacts._validators",
    ],
)  # fmt: skip
def test_a_module_that_means_nothing_here_says_why(module: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"{module} is not here: "):
        importlib.import_module(f"artstore.{module}")
