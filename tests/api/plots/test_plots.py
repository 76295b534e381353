"""Charts of `wandb.plot` are a table and a spec, as W&B's are, and a run records both."""

import json
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import artstore as wandb
from artstore.api.plots.charts import recorded_charts
from artstore.errors import InvalidType, InvalidValue, NoActiveRun, NotFound
from tests.support.runs import rows

os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
np = pytest.importorskip("numpy")

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # wandb leaves files open

Y = [2, 0, 0, 0, 0, 2, 2, 1, 0, 0, 0, 1]
PROBABILITIES = [
    [0.5, 0.2, 0.7], [0.1, 0.4, 0.5], [0.4, 0.6, 0.7], [1.0, 0.3, 0.6], [0.7, 0.3, 0.0], [1.0, 0.3, 0.3],
    [0.9, 0.6, 0.5], [0.8, 0.0, 0.7], [0.4, 0.1, 0.7], [0.9, 0.2, 0.6], [0.3, 0.7, 0.7], [0.2, 0.8, 0.7],
]  # fmt: skip
ROC = [
    ["a", 0.0, 0.0], ["a", 0.2, 0.143], ["a", 0.4, 0.286], ["a", 0.6, 0.286], ["a", 0.6, 0.429], ["a", 0.8, 0.429],
    ["a", 0.8, 0.714], ["a", 0.8, 0.857], ["a", 1.0, 0.857], ["a", 1.0, 1.0], ["b", 0.0, 0.0], ["b", 0.0, 0.5],
    ["b", 0.1, 0.5], ["b", 0.3, 0.5], ["b", 0.4, 0.5], ["b", 0.7, 0.5], ["b", 0.9, 0.5], ["b", 1.0, 0.5],
    ["b", 1.0, 1.0], ["c", 0.0, 0.0], ["c", 0.556, 0.333], ["c", 0.778, 0.333], ["c", 0.889, 0.667],
    ["c", 0.889, 1.0], ["c", 1.0, 1.0],
]  # fmt: skip
"""What wandb 0.31.0 has in its table for these, with scikit-learn 1.9.1."""
PRECISION = [
    ["a", 0.583, 1.0], ["a", 0.6, 0.8], ["a", 0.6, 0.6], ["a", 0.6, 0.4], ["a", 0.6, 0.2], ["a", 1.0, 0.0],
    ["b", 0.167, 1.0], ["b", 0.167, 0.8], ["b", 0.167, 0.6], ["b", 1.0, 0.4], ["b", 1.0, 0.2], ["b", 1.0, 0.0],
    ["c", 0.273, 1.0], ["c", 0.273, 0.8], ["c", 0.273, 0.6], ["c", 0.273, 0.4], ["c", 0.273, 0.2], ["c", 1.0, 0.0],
]  # fmt: skip


def table(of: Any = wandb) -> Any:
    return of.Table(columns=["x", "y", "name"], data=[[1, 2.5, "a"], [2, 3.5, "b"]])


MAKERS: dict[str, Callable[[Any], Any]] = {
    "line": lambda of: of.plot.line(table(of), "x", "y", title="Lines"),
    "strokes": lambda of: of.plot.line(table(of), "x", "y", stroke="name", split_table=True),
    "scatter": lambda of: of.plot.scatter(table(of), "x", "y"),
    "bar": lambda of: of.plot.bar(table(of), "name", "y", title="Bars"),
    "histogram": lambda of: of.plot.histogram(table(of), "y"),
    "line_series": lambda of: of.plot.line_series([0, 1], [[1, 2], [3, 4]], title="t", xname="step"),
    "several xs": lambda of: of.plot.line_series([[0, 1], [5]], [[1, 2], [3]], keys=["p", "q"]),
    "arrays": lambda of: of.plot.line_series(np.arange(2), np.ones((2, 2))),
    "confusion_matrix": lambda of: of.plot.confusion_matrix(y_true=Y, probs=PROBABILITIES, class_names=["a", "b", "c"]),
    "predictions": lambda of: of.plot.confusion_matrix(preds=[3, 1, 3], y_true=[1, 1, 3], title="m"),
    "plot_table": lambda of: of.plot_table("my/own/v3", table(of), {"x": "x"}, {"title": "t"}, split_table=True),
    "visualize": lambda of: of.visualize("wandb/feature_importances/v1", table(of)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_chart_is_the_table_and_the_spec_that_wandb_makes_of_the_same_arguments(name: str) -> None:
    real = pytest.importorskip("wandb")
    ours, theirs = MAKERS[name](wandb), MAKERS[name](real)
    assert (ours.table.columns, list(ours.table.data)) == (theirs.table.columns, theirs.table.data)
    for chart in (ours, theirs):
        chart.set_key("section/k")
    assert ours.spec.config_value == theirs.spec.config_value
    assert ours.spec.config_key == theirs.spec.config_key


def test_curves_are_those_that_wandb_computes_with_scikit_learn() -> None:
    labels = ["a", "b", "c"]
    roc = wandb.plot.roc_curve(Y, PROBABILITIES, labels=labels)
    assert (roc.table.columns, roc.table.data) == (["class", "fpr", "tpr"], ROC)
    precision = wandb.plot.pr_curve(np.array(Y), np.array(PROBABILITIES), labels=labels, interp_size=6)
    assert (precision.table.columns, precision.table.data) == (["class", "precision", "recall"], PRECISION)
    assert roc.spec.spec_name == precision.spec.spec_name == "wandb/area-under-curve/v0"
    assert roc.spec.string_fields == {
        "title": "ROC Curve", "x-axis-title": "False positive rate", "y-axis-title": "True positive rate",
    }  # fmt: skip
    some = wandb.plot.roc_curve(Y, PROBABILITIES, classes_to_plot=[1])
    assert list(some.table.data) == [[1, *row[1:]] for row in ROC if row[0] == "b"]
    named = wandb.plot.roc_curve(["cat", "dog"], [[0.9, 0.1], [0.2, 0.8]])
    assert {row[0] for row in named.table.data} == {"cat", "dog"}


def test_a_class_without_examples_of_the_others_has_no_rate_of_them() -> None:
    chart = wandb.plot.roc_curve([1, 1], [[0.4], [0.6]])
    (first, *_) = chart.table.data
    assert first[1] != first[1]  # NaN, which is stored as None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: wandb.plot.line([[1, 2]], "x", "y"), "^Expected `data_table` to be `wandb.Table` type, instead got list$"),
        (lambda: wandb.visualize("x", None), "^Expected `value` to be `wandb.Table` type, instead got NoneType$"),
        (lambda: wandb.plot.line_series([[1]], [[1], [2]]), "^Number of x-series \\(1\\) must match y-series \\(2\\).$"),
        (lambda: wandb.plot.line_series([1], [[1]], keys=["a", "b"]), "^Number of keys \\(2\\) must match y-series \\(1\\).$"),
        (lambda: wandb.plot.confusion_matrix([[1]], [0], [0]), "^Only one of `probs` or `preds` should be provided"),
        (lambda: wandb.plot.confusion_matrix(y_true=[0]), "^a confusion matrix needs y_true, and probs or preds$"),
        (lambda: wandb.plot.confusion_matrix(y_true=[0], preds=[0, 1]), "^The number of predictions and true labels must be"),
        (lambda: wandb.plot.confusion_matrix(y_true=[0, 1], preds=[0, 1], class_names=["a"]), "predicted classes exceeds"),
        (lambda: wandb.plot.confusion_matrix(y_true=[0, 5], preds=[0, 0], class_names=["a", "b"]), "^class 5 has no name"),
        (lambda: wandb.plot.roc_curve([0, 1]), "^a curve needs y_true and y_probas$"),
        (lambda: wandb.plot.pr_curve([0, 1], [0.5, 0.5]), "^y_probas of shape \\(2,\\) doesn't fit 2 examples of 2 classes"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_chart_are_an_error_in_a_sentence(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        make()
    if "wandb.Table" in message:
        assert isinstance(caught.value, InvalidType | TypeError)


# -- in a run --


def test_a_run_records_the_table_of_a_chart_and_in_its_config_how_it_is_drawn() -> None:
    chart = wandb.plot.line(table(), "x", "y", stroke="name", title="Lines")
    with wandb.init(id="r", config={"lr": 0.1}) as run:
        run.log({"curve": chart, "loss": 0.5})
    (row,) = rows("r")
    assert set(row) - {"_step", "_runtime", "_timestamp"} == {"curve_table", "loss"}
    assert (row["curve_table"]["_type"], row["curve_table"]["nrows"]) == ("table-file", 2)
    record = wandb.Api().run("r")
    assert record.summary["curve_table"] == row["curve_table"]
    assert dict(record.config) == {"lr": 0.1} == json.loads(record.json_config)
    assert record.rawconfig["_wandb"]["visualize"]["curve"] == chart.spec.config_value
    (found,) = recorded_charts(dict(record.rawconfig))
    fields = {"x": "x", "y": "y", "stroke": "name"}
    assert found == ("curve", "line", "curve_table", fields, {"title": "Lines"})
    assert wandb.Api().artifact("run-r-curve_table:latest").get("curve_table") == table()


def test_charts_in_dicts_and_apart_from_other_tables_have_the_keys_of_wandbs() -> None:
    with wandb.init(id="r") as run:
        run.log({"val": {"roc": wandb.plot.roc_curve(Y, PROBABILITIES), "loss": 1}, "n": 1})
        run.log({"bars": wandb.plot.bar(table(), "name", "y", split_table=True)})
        run.log(
            {"table": wandb.visualize("wandb/metrics/v1", table()), "own": wandb.plot_table("me/x/v1", table(), {})}
        )
    record = wandb.Api().run("r")
    known = set(record.summary) - {"_step", "_runtime", "_timestamp"}
    assert known == {"val", "val.roc_table", "n", "Custom Chart Tables/bars_table", "table", "own_table"}
    assert record.summary["val"] == {"loss": 1}
    charts = {chart.key: (chart.kind, chart.table) for chart in recorded_charts(dict(record.rawconfig))}
    assert charts == {
        "val.roc": ("curve", "val.roc_table"), "bars": ("bar", "Custom Chart Tables/bars_table"),
        "own": ("table", "own_table"), "table": ("bar", "table"),
    }  # fmt: skip


def test_a_run_that_is_continued_keeps_its_charts_and_gets_more() -> None:
    for key in ("one", "two", "one"):
        with wandb.init(id="r", resume="allow") as run:
            assert "_wandb" not in run.config
            run.log({key: wandb.plot.histogram(table(), "y")})
    assert [chart.key for chart in recorded_charts(dict(wandb.Api().run("r").rawconfig))] == ["one", "two"]


def test_a_disabled_run_takes_charts() -> None:
    with wandb.init(mode="disabled") as run:
        run.log({"k": wandb.plot.bar(table(), "name", "y")})


@pytest.mark.parametrize(
    "config",
    [
        {}, {"_wandb": 5}, {"_wandb": {"visualize": [1], "viz": 2}}, {"_wandb": {"visualize": {"k": None}}},
        {"_wandb": {"viz": {"k": 1}}},
    ],
)  # fmt: skip
def test_what_is_not_a_chart_in_a_config_is_left_out(config: dict[str, Any]) -> None:
    assert recorded_charts(config) == []


def test_a_damaged_spec_is_a_table() -> None:
    for spec in (
        {},
        {"panel_config": 3},
        {"panel_config": {"panelDefId": ["x"], "fieldSettings": 1, "userQuery": [[]]}},
    ):
        assert recorded_charts({"_wandb": {"visualize": {"k": spec}}}) == [("k", "table", "k_table", {}, {})]


# -- scikit-learn --


def test_plots_of_scikit_learn_are_logged_under_wandbs_keys() -> None:
    tree = SimpleNamespace(feature_importances_=np.array([0.2, 0.5, 0.3]))
    with wandb.init(id="r") as run:
        wandb.sklearn.plot_roc(Y, PROBABILITIES, ["a", "b", "c"])
        wandb.sklearn.plot_precision_recall(Y, PROBABILITIES)
        wandb.sklearn.plot_confusion_matrix([0, 1, 1], [1, 1, 1], ["a", "b"])
        wandb.sklearn.plot_class_proportions(np.array([0, 1, 1]), np.array([1]), ["a", "b"])
        wandb.sklearn.plot_feature_importances(tree, ["x", "y", "z"])
        assert wandb.Api().artifact(f"run-{run.id}-confusion_matrix:v0").get("confusion_matrix").data == [
            ["a", "a", 0], ["b", "a", 1], ["a", "b", 0], ["b", "b", 2],
        ]  # fmt: skip
        assert wandb.Api().artifact("run-r-class_proportions:v0").get("class_proportions").data == [
            ["a", "train", 1], ["a", "test", 0], ["b", "train", 2], ["b", "test", 1],
        ]  # fmt: skip
        assert wandb.Api().artifact("run-r-feature_importances:v0").get("feature_importances").data == [
            ["y", 0.5], ["z", 0.3], ["x", 0.2],
        ]  # fmt: skip
    charts = {chart.key: chart.kind for chart in recorded_charts(dict(wandb.Api().run("r").rawconfig))}
    assert charts == {
        "roc": "curve", "precision_recall": "curve", "confusion_matrix": "confusion_matrix",
        "class_proportions": "bar", "feature_importances": "bar",
    }  # fmt: skip


def test_shares_of_a_confusion_matrix_and_some_of_its_classes() -> None:
    with wandb.init(id="r"):
        wandb.sklearn.plot_confusion_matrix([0, 1, 1], [1, 1, 0], normalize=True, true_labels=[1])
        found = wandb.Api().artifact("run-r-confusion_matrix:v0").get("confusion_matrix")
        assert found.data == [[0, 1, 0.5], [1, 1, 0.5]]
        with pytest.raises(InvalidValue, match="^there are 1 labels for 2 classes$"):
            wandb.sklearn.plot_confusion_matrix([0, 1], [1, 1], ["a"])
        with pytest.raises(InvalidValue, match="^there are 1 true classes and 0 predicted ones$"):
            wandb.sklearn.plot_confusion_matrix([0])


def test_a_plot_that_is_not_here_is_one_warning_and_needs_nothing() -> None:
    for name in ("calibration_curve", "outlier_candidates", "elbow_curve", "silhouette", "clusterer"):
        with pytest.warns(UserWarning, match=f"^artstore has no plot_{name}: nothing is logged") as said:
            getattr(wandb.sklearn, f"plot_{name}")(1, x=2)
        assert said[0].filename == __file__
    with pytest.warns(UserWarning, match="^plot_feature_importances: SimpleNamespace doesn't have importances$"):
        wandb.sklearn.plot_feature_importances(SimpleNamespace())
    with pytest.warns(UserWarning, match="doesn't have one importance for each feature$"):
        wandb.sklearn.plot_feature_importances(SimpleNamespace(coef_=np.ones((2, 2))))


def test_plots_need_a_run_and_those_of_models_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoActiveRun, match="before plotting"):
        wandb.sklearn.plot_roc(Y, PROBABILITIES)
    monkeypatch.setitem(__import__("sys").modules, "sklearn.metrics", None)
    with pytest.raises(
        NotFound, match="^plot_summary_metrics needs scikit-learn, which is not installed here"
    ) as caught:
        wandb.sklearn.plot_summary_metrics(None, [1], [1], [1], [1])
    assert caught.value.hint == "`pip install scikit-learn`"


def test_names_of_plots_are_reached_as_in_wandb() -> None:
    from artstore.integration.sklearn import plot_regressor
    from artstore.plot import line
    from artstore.plot.custom_chart import CustomChart
    from artstore.sklearn import plot_classifier

    assert (line, CustomChart) == (wandb.plot.line, wandb.plot.CustomChart)
    assert plot_classifier is wandb.sklearn.plot_classifier and plot_regressor is wandb.sklearn.plot_regressor
    assert wandb.plot_table is wandb.plot.plot_table and wandb.visualize is wandb.plot.visualize
