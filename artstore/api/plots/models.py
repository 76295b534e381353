"""Plots of scikit-learn's models, as `wandb.sklearn` makes them. Each is logged to the active run under its own key."""

from collections.abc import Sequence
from typing import Any

from artstore.api.needed import needed
from artstore.api.plots.chart import visualize
from artstore.api.plots.classes import pr_curve, roc_curve
from artstore.api.recording import session
from artstore.api.tables.table import Table
from artstore.backends.callers import warn_caller
from artstore.errors import InvalidValue


def plot_roc(
    y_true: Any = None, y_probas: Any = None, labels: Sequence[str] | None = None, plot_micro: bool = True,
    plot_macro: bool = True, classes_to_plot: Sequence[Any] | None = None,
) -> None:  # fmt: skip
    """Log the ROC curves of a classifier as `roc`. `plot_micro` and `plot_macro` change nothing, as in W&B."""
    _log("roc", roc_curve(y_true, y_probas, labels, classes_to_plot))


def plot_precision_recall(
    y_true: Any = None, y_probas: Any = None, labels: Sequence[str] | None = None, plot_micro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> None:  # fmt: skip
    """Log the precision-recall curves of a classifier as `precision_recall`. `plot_micro` changes nothing, as in W&B."""
    _log("precision_recall", pr_curve(y_true, y_probas, labels, classes_to_plot))


def plot_confusion_matrix(
    y_true: Any = None, y_pred: Any = None, labels: Sequence[str] | None = None, true_labels: Any = None,
    pred_labels: Any = None, normalize: bool = False,
) -> None:  # fmt: skip
    """Log a confusion matrix as `confusion_matrix`.

    Args:
        y_true: The true class of each example.
        y_pred: The predicted class of each example.
        labels: The names of the classes, in their order.
        true_labels: Only rows of these true classes.
        pred_labels: Only columns of these predicted classes.
        normalize: Record the share of each true class instead of the count.

    Raises:
        InvalidValue: If there are fewer names than classes.
    """
    true, predicted = _listed(y_true), _listed(y_pred)
    if not true or len(true) != len(predicted):
        raise InvalidValue(f"there are {len(true)} true classes and {len(predicted)} predicted ones")
    classes = sorted({*true, *predicted})
    if labels is not None and len(labels) < len(classes):
        raise InvalidValue(f"there are {len(labels)} labels for {len(classes)} classes")
    names = dict(zip(classes, classes if labels is None else labels, strict=False))
    rows = []
    for each in classes:
        guesses = [guess for one, guess in zip(true, predicted, strict=True) if one == each]
        for other in classes:
            count = guesses.count(other)
            share = round(count / len(guesses), 2) if guesses else 0.0
            wanted = (names[each] in _listed(true_labels)) if true_labels is not None else True
            if wanted and (pred_labels is None or names[other] in _listed(pred_labels)):
                rows.append([names[other], names[each], share if normalize else count])
    _visualize("confusion_matrix", "confusion_matrix", ["Predicted", "Actual", "Count"], rows)


def plot_feature_importances(
    model: Any = None, feature_names: Sequence[str] | None = None, title: str = "Feature Importance",
    max_num_features: int = 50,
) -> None:  # fmt: skip
    """Log how much each feature counts for a fitted model, the largest first, as `feature_importances`.

    Only warns for a model that has no importances, or several for a feature. `title` and `max_num_features` change
    nothing, as in W&B.
    """
    np = needed("numpy", "plot_feature_importances")
    names = ("feature_importances_", "feature_log_prob_", "coef_")
    found = next((getattr(model, name) for name in names if hasattr(model, name)), None)
    importances = None if found is None else np.squeeze(np.asarray(found))
    if importances is None or importances.ndim != 1:
        what = "one importance for each feature" if importances is not None else "importances"
        warn_caller(f"plot_feature_importances: {type(model).__name__} doesn't have {what}")
        return
    order = np.argsort(importances)[::-1].tolist()
    rows = [[at if feature_names is None else str(feature_names[at]), importances[at].item()] for at in order]
    _visualize("feature_importances", "feature_importances", ["feature_names", "importances"], rows)


def plot_class_proportions(y_train: Any = None, y_test: Any = None, labels: Sequence[str] | None = None) -> None:
    """Log how many examples of each class are in the training and the test set, as `class_proportions`."""
    sets = {"train": _listed(y_train), "test": _listed(y_test)}
    rows = []
    for each in sorted({*sets["train"], *sets["test"]}):
        name = labels[each] if labels is not None and isinstance(each, int) else each
        rows += [[name, of, values.count(each)] for of, values in sets.items()]
    _visualize("class_proportions", "class_proportions", ["class", "dataset", "count"], rows)


def plot_summary_metrics(
    model: Any = None, X: Any = None, y: Any = None, X_test: Any = None, y_test: Any = None
) -> None:
    """Log the scores of a fitted classifier or regressor on the test set, as `summary_metrics`."""
    metrics = needed("sklearn.metrics", "plot_summary_metrics", "scikit-learn")
    base = needed("sklearn.base", "plot_summary_metrics", "scikit-learn")
    guessed = model.predict(X_test)
    if base.is_classifier(model):
        found = {"accuracy_score": metrics.accuracy_score(y_test, guessed)}
        for name, score in (("precision", "precision_score"), ("recall", "recall_score"), ("f1_score", "f1_score")):
            found[name] = getattr(metrics, score)(y_test, guessed, average="weighted")
    else:
        scores = {"mae": "mean_absolute_error", "mse": "mean_squared_error", "r2_score": "r2_score"}
        found = {name: getattr(metrics, score)(y_test, guessed) for name, score in scores.items()}
    rows = [[name, round(float(value), 2), type(model).__name__] for name, value in found.items()]
    _visualize("summary_metrics", "metrics", ["metric_name", "metric_value", "model_name"], rows)


def plot_learning_curve(
    model: Any = None, X: Any = None, y: Any = None, cv: Any = None, shuffle: bool = False, random_state: Any = None,
    train_sizes: Any = None, n_jobs: int = 1, scoring: Any = None,
) -> None:  # fmt: skip
    """Train a model on more and more examples, and log its scores as `learning_curve`."""
    selection = needed("sklearn.model_selection", "plot_learning_curve", "scikit-learn")
    sizes = needed("numpy", "plot_learning_curve").linspace(0.1, 1.0, 5) if train_sizes is None else train_sizes
    used, train, test = selection.learning_curve(
        model,
        X,
        y,
        cv=cv,
        n_jobs=n_jobs,
        train_sizes=sizes,
        scoring=scoring,
        shuffle=shuffle,
        random_state=random_state,
    )
    rows = []
    for size, *scores in zip(used.tolist(), train.mean(axis=1).tolist(), test.mean(axis=1).tolist(), strict=True):
        rows += [[of, round(score, 2), size] for of, score in zip(("train", "test"), scores, strict=True)]
    _visualize("learning_curve", "learning_curve", ["dataset", "score", "train_size"], rows)


def plot_residuals(regressor: Any = None, X: Any = None, y: Any = None) -> None:
    """Train a regressor on 80 % of the examples, and log how far its predictions are off, as `residuals`."""
    selection = needed("sklearn.model_selection", "plot_residuals", "scikit-learn")
    X_train, X_test, y_train, y_test = selection.train_test_split(X, y, test_size=0.2)
    regressor.fit(X_train, y_train)
    scores = [float(regressor.score(X_train, y_train)), float(regressor.score(X_test, y_test))]
    rows = []
    for of, given, right in (("train", X_train, y_train), ("test", X_test, y_test)):
        for guess, true in zip(_listed(regressor.predict(given)), _listed(right), strict=True):
            rows.append([of, guess, guess - true, *scores])
    columns = ["dataset", "y_pred", "residuals", "train_score", "test_score"]
    _visualize("residuals", "residuals_plot", columns, rows)


def plot_classifier(
    model: Any, X_train: Any, X_test: Any, y_train: Any, y_test: Any, y_pred: Any, y_probas: Any, labels: Any,
    is_binary: bool = False, model_name: str = "Classifier", feature_names: Any = None, log_learning_curve: bool = False,
) -> None:  # fmt: skip
    """Log all plots of a fitted classifier that are here, except its learning curve unless that is asked for."""
    if type(model).__name__ != "MultinomialNB":
        plot_feature_importances(model, feature_names)
    if log_learning_curve:
        plot_learning_curve(model, X_train, y_train)
    plot_confusion_matrix(y_test, y_pred, labels)
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_class_proportions(y_train, y_test, labels)
    plot_roc(y_test, y_probas, labels)
    plot_precision_recall(y_test, y_probas, labels)


def plot_regressor(
    model: Any, X_train: Any, X_test: Any, y_train: Any, y_test: Any, model_name: str = "Regressor"
) -> None:
    """Log all plots of a regressor that are here."""
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_learning_curve(model, X_train, y_train)
    plot_residuals(model, X_train, y_train)


def plot_calibration_curve(*_: Any, **__: Any) -> None:
    """Only warns: artstore doesn't make this plot."""
    _lacks("plot_calibration_curve")


def plot_outlier_candidates(*_: Any, **__: Any) -> None:
    """Only warns: artstore doesn't make this plot."""
    _lacks("plot_outlier_candidates")


def plot_elbow_curve(*_: Any, **__: Any) -> None:
    """Only warns: artstore doesn't make this plot."""
    _lacks("plot_elbow_curve")


def plot_silhouette(*_: Any, **__: Any) -> None:
    """Only warns: artstore doesn't make this plot."""
    _lacks("plot_silhouette")


def plot_clusterer(*_: Any, **__: Any) -> None:
    """Only warns: artstore doesn't make these plots."""
    _lacks("plot_clusterer")


def _lacks(name: str) -> None:
    warn_caller(f"artstore has no {name}: nothing is logged; wandb.plot has charts of any table")


def _visualize(key: str, name: str, columns: list[str], rows: list[list[Any]]) -> None:
    _log(key, visualize(f"wandb/{name}/v1", Table(columns=columns, data=rows)))


def _log(key: str, chart: Any) -> None:
    session.require("plotting").log({key: chart})


def _listed(values: Any) -> list[Any]:
    if values is None:
        return []
    return list(values.tolist() if hasattr(values, "tolist") else values)
