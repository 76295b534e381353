"""The charts that a run's config records, as plain values for pages that draw them."""

from typing import Any, NamedTuple

from artstore.domain.charts import OWN

_KINDS = {
    "line": "line", "lineseries": "line_series", "scatter": "scatter", "bar": "bar", "histogram": "histogram",
    "area-under-curve": "curve", "confusion_matrix": "confusion_matrix",
}  # fmt: skip
_KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "confusion_matrix": ("confusion_matrix", {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "Count"}),
    "feature_importances": ("bar", {"label": "feature_names", "value": "importances"}),
    "class_proportions": ("bar", {"label": "class", "value": "count", "stroke": "dataset"}),
    "metrics": ("bar", {"label": "metric_name", "value": "metric_value"}),
    "learning_curve": ("line", {"x": "train_size", "y": "score", "stroke": "dataset"}),
    "residuals_plot": ("scatter", {"x": "y_pred", "y": "residuals", "stroke": "dataset"}),
    "outliers": ("scatter", {"x": "instance_indicies", "y": "distance"}),
    "elbow": ("line", {"x": "cluster_ranges", "y": "errors"}),
    "calibration": ("line", {"x": "mean_predicted_value", "y": "fraction_of_positives", "stroke": "model"}),
}
"""The kind and the columns of the drawings of `visualize`, by their names."""


class RecordedChart(NamedTuple):
    """A chart that a run logged."""

    key: str
    """under which it was logged"""
    kind: str
    """`line`, `line_series`, `scatter`, `bar`, `histogram`, `curve` or `confusion_matrix`; `table` for all others"""
    table: str
    """the key of its table in history and summary"""
    fields: dict[str, str]
    """which column of the table each field is

    `x`, `y` and maybe `stroke` of a line or scatter plot (one line or colour for each value of `stroke`); `step`,
    `lineKey` and `lineVal` of a line series; `label` and `value` of bars; `value` of a histogram; `x`, `y` and `class`
    of a curve; `Actual`, `Predicted` and `nPredictions` of a confusion matrix.
    """
    texts: dict[str, str]
    """its texts, if it has any: `title`, `xname`, `x-axis-title`, `y-axis-title`"""


def recorded_charts(config: dict[str, Any]) -> list[RecordedChart]:
    """The charts of a run, by its config. What isn't a chart is left out."""
    own = config.get(OWN)
    found = []
    for kind, read in (("visualize", _of_custom), ("viz", _of_visualize)):
        specs = own.get(kind) if isinstance(own, dict) else None
        for key, spec in specs.items() if isinstance(specs, dict) else ():
            if isinstance(spec, dict):
                found.append(read(key, spec))
    return found


def _of_custom(key: str, spec: dict[str, Any]) -> RecordedChart:
    panel = spec.get("panel_config")
    panel = panel if isinstance(panel, dict) else {}
    kind = _KINDS.get(_name(panel.get("panelDefId")), "table")
    table = _table_of(panel.get("userQuery")) or f"{key}_table"
    return RecordedChart(key, kind, table, _texts(panel.get("fieldSettings")), _texts(panel.get("stringSettings")))


def _of_visualize(key: str, spec: dict[str, Any]) -> RecordedChart:
    kind, fields = _KNOWN.get(_name(spec.get("id")), ("table", {}))
    return RecordedChart(key, kind, key, dict(fields), {})


def _name(id: Any) -> str:
    """The name in `wandb/NAME/v0`; empty for a drawing of somebody else."""
    parts = id.split("/") if isinstance(id, str) else []
    return parts[1] if len(parts) == 3 and parts[0] == "wandb" else ""


def _table_of(query: Any) -> str | None:
    """The key of the table that the query of a spec asks for."""
    if isinstance(query, dict):
        if query.get("name") == "tableKey" and isinstance(query.get("value"), str):
            return str(query["value"])
        query = list(query.values())
    found = map(_table_of, query) if isinstance(query, list) else ()
    return next((key for key in found if key is not None), None)


def _texts(values: Any) -> dict[str, str]:
    pairs = values.items() if isinstance(values, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, str)}
