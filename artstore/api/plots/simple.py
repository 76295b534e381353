"""Line, scatter and bar charts and histograms of the columns of a table."""

from collections.abc import Iterable, Sequence
from typing import Any

from artstore.api.plots.chart import CustomChart, plot_table
from artstore.api.tables.table import Table
from artstore.errors import InvalidValue


def line(
    table: Table, x: str, y: str, stroke: str | None = None, title: str = "", split_table: bool = False
) -> CustomChart:
    """A line chart.

    Args:
        table: The table with the points.
        x: The column of the x values.
        y: The column of the y values.
        stroke: A column with the name of each point's line, if there are several lines.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Example:
        >>> table = wandb.Table(columns=["epoch", "loss"], data=[[0, 0.5], [1, 0.25]])
        >>> with wandb.init(project="digits") as run:
        ...     run.log({"training": wandb.plot.line(table, "epoch", "loss", title="Loss")})
        >>> run.summary["training_table"]["nrows"]
        2
    """
    return _chart("line", table, {"x": x, "y": y, "stroke": stroke}, title, split_table)


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """A scatter plot, with a point for each row.

    Args:
        table: The table with the points.
        x: The column of the x values.
        y: The column of the y values.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.
    """
    return _chart("scatter", table, {"x": x, "y": y}, title, split_table)


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """A bar chart, with a bar for each row.

    Args:
        table: The table with the bars.
        label: The column of their names.
        value: The column of their lengths.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.
    """
    return _chart("bar", table, {"label": label, "value": value}, title, split_table)


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """A histogram of a column.

    Args:
        table: The table with the values.
        value: The column.
        title: The title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.
    """
    return _chart("histogram", table, {"value": value}, title, split_table)


def _chart(name: str, table: Table, fields: dict[str, Any], title: str, split_table: bool) -> CustomChart:
    return plot_table(f"wandb/{name}/v0", table, fields, {"title": title}, split_table)


def line_series(
    xs: Iterable[Any],
    ys: Iterable[Iterable[Any]],
    keys: Iterable[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """A chart of several lines.

    Args:
        xs: The x values: one list for all lines, or a list for each line.
        ys: A list of y values for each line.
        keys: The name of each line; by default `line_0`, `line_1`, …
        title: The title.
        xname: What the x values are.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Raises:
        InvalidValue: If there isn't one name, and one list of x values, for each line.

    Example:
        >>> chart = wandb.plot.line_series([0, 1], [[0.5, 0.25], [0.7, 0.4]], keys=["train", "val"])
        >>> chart.table.data
        [[0, 'train', 0.5], [1, 'train', 0.25], [0, 'val', 0.7], [1, 'val', 0.4]]
    """
    lines, columns = [list(line) for line in ys], list(xs)
    if columns and (isinstance(columns[0], str | bytes) or not _has_items(columns[0])):
        columns = [columns] * len(lines)
    if len(columns) != len(lines):
        raise InvalidValue(f"Number of x-series ({len(columns)}) must match y-series ({len(lines)}).")
    names: Sequence[str] = [f"line_{number}" for number in range(len(lines))] if keys is None else list(keys)
    if len(names) != len(lines):
        raise InvalidValue(f"Number of keys ({len(names)}) must match y-series ({len(lines)}).")
    rows = [
        [x, name, y]
        for column, name, line in zip(columns, names, lines, strict=True)
        for x, y in zip(column, line, strict=False)
    ]
    table = Table(columns=["step", "lineKey", "lineVal"], data=rows)
    fields = {name: name for name in table.columns}
    return plot_table("wandb/lineseries/v0", table, fields, {"title": title, "xname": xname}, split_table)


def _has_items(value: Any) -> bool:
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0
