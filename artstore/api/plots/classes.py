"""Charts for classifiers: confusion matrix, ROC and precision-recall curves. They need numpy."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from artstore.api.needed import needed
from artstore.api.plots.chart import CustomChart, plot_table
from artstore.api.tables.table import Table
from artstore.domain.names import printable
from artstore.errors import InvalidValue


def confusion_matrix(
    probs: Sequence[Sequence[float]] | None = None,
    y_true: Sequence[Any] | None = None,
    preds: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> CustomChart:
    """A confusion matrix: how often each class was predicted for each true class.

    Args:
        probs: The probability of each class, a row for each example. The class with the largest was predicted.
        y_true: The true class of each example.
        preds: The predicted class of each example, instead of `probs`.
        class_names: The names of the classes 0, 1, …; by default `Class_1`, `Class_2`, …
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Raises:
        InvalidValue: If both or none of `probs` and `preds` are given, or if they don't fit the true classes.

    Example:
        >>> chart = wandb.plot.confusion_matrix(preds=[0, 1, 1], y_true=[0, 1, 0], class_names=["cat", "dog"])
        >>> chart.table.data
        [['cat', 'cat', 1], ['cat', 'dog', 1], ['dog', 'cat', 0], ['dog', 'dog', 1]]
    """
    if probs is not None and preds is not None:
        raise InvalidValue("Only one of `probs` or `preds` should be provided, not both.")
    if y_true is None or (probs is None and preds is None):
        raise InvalidValue("a confusion matrix needs y_true, and probs or preds")
    guessed = _values(preds if probs is None else needed("numpy", "a confusion matrix").argmax(probs, axis=1))
    right = _values(y_true)
    if len(guessed) != len(right):
        raise InvalidValue("The number of predictions and true labels must be equal.")
    found = sorted({*guessed, *right})
    names = [f"Class_{number}" for number in range(1, len(found) + 1)] if class_names is None else list(class_names)
    if class_names is not None:
        for what, values in (("predicted classes", guessed), ("true labels", right)):
            if len(set(values)) > len(names):
                raise InvalidValue(f"The number of unique {what} exceeds the number of class names.")
    place = {each: at for at, each in enumerate(found if class_names is None else range(len(names)))}
    if strange := [each for each in found if each not in place]:
        raise InvalidValue(f"class {printable(repr(strange[0]))} has no name: class_names has {len(names)}")
    counts = [[0] * len(names) for _ in names]
    for true, guess in zip(right, guessed, strict=True):
        counts[place[true]][place[guess]] += 1
    rows = [
        [one, other, count]
        for one, row in zip(names, counts, strict=True)
        for other, count in zip(names, row, strict=True)
    ]
    table = Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {name: name for name in table.columns}
    return plot_table("wandb/confusion_matrix/v1", table, fields, {"title": title}, split_table)


def roc_curve(
    y_true: Iterable[Any] | None = None,
    y_probas: Sequence[Sequence[float]] | None = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> CustomChart:
    """ROC curves: the rate of true positives by the rate of false positives, a curve for each class.

    Args:
        y_true: The true class of each example.
        y_probas: The probability of each class, a row for each example.
        labels: The names of the classes 0, 1, …
        classes_to_plot: Only these classes.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Raises:
        InvalidValue: If the probabilities don't fit the true classes.
        NotFound: If numpy isn't installed.

    Example:
        >>> chart = wandb.plot.roc_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]], labels=["cat", "dog"], classes_to_plot=[1])
        >>> chart.table.data
        [['dog', 0.0, 0.0], ['dog', 0.0, 1.0], ['dog', 1.0, 1.0]]
    """
    rows = _of_classes(y_true, y_probas, labels, classes_to_plot, _roc)
    texts = {"title": title, "x-axis-title": "False positive rate", "y-axis-title": "True positive rate"}
    fields = {"x": "fpr", "y": "tpr", "class": "class"}
    table = Table(columns=["class", "fpr", "tpr"], data=rows)
    return plot_table("wandb/area-under-curve/v0", table, fields, texts, split_table)


def pr_curve(
    y_true: Iterable[Any] | None = None,
    y_probas: Sequence[Sequence[float]] | None = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> CustomChart:
    """Precision-recall curves, one for each class.

    Args:
        y_true: The true class of each example.
        y_probas: The probability of each class, a row for each example.
        labels: The names of the classes 0, 1, …
        classes_to_plot: Only these classes.
        interp_size: The number of points of a curve, at the same distances of recall.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Raises:
        InvalidValue: If the probabilities don't fit the true classes.
        NotFound: If numpy isn't installed.

    Example:
        >>> chart = wandb.plot.pr_curve([0, 1], [[0.9, 0.1], [0.2, 0.8]], labels=["cat", "dog"], interp_size=2)
        >>> chart.table.data
        [['cat', 1.0, 1.0], ['cat', 1.0, 0.0], ['dog', 1.0, 1.0], ['dog', 1.0, 0.0]]
    """

    def points(true: Any, scores: Any) -> tuple[Any, Any]:
        return _precision_at(true, scores, needed("numpy", "a curve").linspace(0, 1, interp_size)[::-1])

    rows = _of_classes(y_true, y_probas, labels, classes_to_plot, points)
    texts = {"title": title, "x-axis-title": "Recall", "y-axis-title": "Precision"}
    fields = {"x": "recall", "y": "precision", "class": "class"}
    table = Table(columns=["class", "precision", "recall"], data=rows)
    return plot_table("wandb/area-under-curve/v0", table, fields, texts, split_table)


def _of_classes(
    y_true: Any, y_probas: Any, labels: Any, chosen: Any, points: Callable[[Any, Any], tuple[Any, Any]]
) -> list[list[Any]]:
    """The rows of a table of curves: class, and two numbers with three decimals.

    `points(true, scores)` returns them for one class. Raises InvalidValue if the values don't fit together.
    """
    np = needed("numpy", "a curve")
    if y_true is None or y_probas is None:
        raise InvalidValue("a curve needs y_true and y_probas")
    true, probabilities = np.array(_values(y_true)), np.array(_values(y_probas))
    classes = np.unique(true)
    if probabilities.ndim != 2 or len(probabilities) != len(true) or probabilities.shape[1] < len(classes):
        raise InvalidValue(
            f"y_probas of shape {probabilities.shape} doesn't fit {len(true)} examples of {len(classes)} classes",
            hint="it has a row for each example, and a column for each class: model.predict_proba(X)",
        )
    rows = []
    for at, each in enumerate(classes):
        if chosen is None or np.isin(each, chosen):
            name = labels[each] if labels is not None and isinstance(each, np.integer) else each.item()
            first, second = points(true == each, probabilities[:, at])
            rows += [
                [name, *pair] for pair in zip(np.round(first, 3).tolist(), np.round(second, 3).tolist(), strict=True)
            ]
    return rows


def _counts(true: Any, scores: Any) -> tuple[Any, Any]:
    """How many true and false positives there are at each score, from the largest down."""
    np = needed("numpy", "a curve")
    order = np.argsort(scores, kind="stable")[::-1]
    true, scores = true[order], scores[order]
    ends = np.append(np.nonzero(np.diff(scores))[0], len(scores) - 1)
    positives = np.cumsum(true)[ends]
    return positives, 1 + ends - positives


def _roc(true: Any, scores: Any) -> tuple[Any, Any]:
    """The rates of false and true positives. Points on a straight line between two others are left out."""
    np = needed("numpy", "a curve")
    positives, negatives = _counts(true, scores)
    if len(positives) > 2:
        bends = np.logical_or(np.diff(negatives, 2), np.diff(positives, 2))
        kept = np.nonzero(np.concatenate([[True], bends, [True]]))[0]
        positives, negatives = positives[kept], negatives[kept]
    rates = []
    for counts in (negatives, positives):
        counts = np.append(0, counts)
        rates.append(counts / counts[-1] if counts[-1] else np.full(len(counts), np.nan))
    return rates[0], rates[1]


def _precision_at(true: Any, scores: Any, recalls: Any) -> tuple[Any, Any]:
    """The best precision at each of these recalls or above, and the recalls."""
    np = needed("numpy", "a curve")
    positives, negatives = _counts(true, scores)
    precision = np.append(1.0, positives / (positives + negatives))
    recall = np.append(0.0, positives / positives[-1] if positives[-1] else np.ones(len(positives)))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return best[np.searchsorted(recall, recalls, side="left")], recalls


def _values(given: Any) -> list[Any]:
    """A list of values, which may come as an array, a Series or a tensor."""
    values = given.detach().cpu() if hasattr(given, "detach") else given
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    return listed if isinstance(listed, list) else [listed]
