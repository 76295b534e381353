"""CustomChart: a table with the spec of how it is drawn, which a run logs."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from artstore.api.tables.table import Table
from artstore.domain.charts import OWN
from artstore.errors import InvalidType, InvalidValue

_QUERY = [{"name": "runSets", "args": [{"name": "runSets", "value": "${runSets}"}]}]


@dataclass
class CustomChartSpec:
    """How a table is drawn: the name of the drawing, which columns it uses, and its texts."""

    spec_name: str
    fields: dict[str, Any]
    string_fields: dict[str, Any]
    key: str = ""
    panel_type: str = "Vega2"
    split_table: bool = False

    @property
    def table_key(self) -> str:
        """The key under which the table is logged. Raises InvalidValue if the chart has no key yet."""
        if not self.key:
            raise InvalidValue("Key for the custom chart spec is not set.")
        return f"Custom Chart Tables/{self.key}_table" if self.split_table else f"{self.key}_table"

    @property
    def config_value(self) -> dict[str, Any]:
        """What W&B records of it in the run's config."""
        asked: list[dict[str, Any]] = [{"name": name, "fields": []} for name in ("id", "name", "_defaultColorIndex")]
        table = {"name": "summaryTable", "args": [{"name": "tableKey", "value": self.table_key}], "fields": []}
        panel = {
            "panelDefId": self.spec_name, "fieldSettings": self.fields, "stringSettings": self.string_fields,
            "transform": {"name": "tableWithLeafColNames"},
            "userQuery": {"queryFields": [{**_QUERY[0], "fields": [*asked, table]}]},
        }  # fmt: skip
        return {"panel_type": self.panel_type, "panel_config": panel}

    @property
    def config_key(self) -> tuple[str, str, str]:
        """Where W&B records that in the config."""
        return (OWN, "visualize", self.key)


@dataclass
class CustomChart:
    """A table, and how it is drawn. `run.log({"key": chart})` logs it."""

    table: Table
    spec: CustomChartSpec

    def set_key(self, key: str) -> None:
        """Set the key under which it is logged."""
        self.spec.key = key

    @property
    def table_key(self) -> str:
        """The key under which the table is logged."""
        return self.spec.table_key


@dataclass
class VisualizeSpec:
    """How a table is drawn: the name of the drawing, which knows its columns."""

    name: str
    key: str = ""

    @property
    def config_value(self) -> dict[str, Any]:
        """What W&B records of it in the run's config."""
        return {"id": self.name, "historyFieldSettings": {"x-axis": "_step", "key": self.key}}

    @property
    def config_key(self) -> tuple[str, str, str]:
        """Where W&B records that in the config."""
        return (OWN, "viz", self.key)


@dataclass
class Visualize:
    """A table, and the name of its drawing. `run.log({"key": chart})` logs it."""

    table: Table
    spec: VisualizeSpec = field(default_factory=lambda: VisualizeSpec(""))

    def set_key(self, key: str) -> None:
        """Set the key under which it is logged."""
        self.spec.key = key

    @property
    def table_key(self) -> str:
        """The key under which the table is logged."""
        return self.spec.key


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: dict[str, Any],
    string_fields: dict[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Make a chart of a table.

    Args:
        vega_spec_name: The name of the drawing, such as `wandb/line/v0`. W&B draws those that it stores; pages of
            artstore draw those of `wandb.plot`, and show other tables as tables.
        data_table: The table.
        fields: Which column each field of the drawing is.
        string_fields: Texts of the drawing, such as the title.
        split_table: Log the table under `Custom Chart Tables/KEY_table`.

    Returns:
        The chart, for `run.log`.

    Raises:
        InvalidType: If `data_table` isn't a Table (a TypeError).

    Example:
        >>> table = wandb.Table(columns=["day", "sales"], data=[[1, 5], [2, 7]])
        >>> chart = wandb.plot_table("wandb/line/v0", table, {"x": "day", "y": "sales"}, {"title": "Sales"})
        >>> with wandb.init(project="digits") as run:
        ...     run.log({"sales": chart})
        >>> run.summary["sales_table"]["nrows"]
        2
    """
    table = _checked("data_table", data_table)
    return CustomChart(table, CustomChartSpec(vega_spec_name, fields, string_fields or {}, split_table=split_table))


def visualize(id: str, value: Table) -> Visualize:
    """Make a chart of a table, whose drawing knows the columns. Raises InvalidType if `value` isn't a Table."""
    return Visualize(_checked("value", value), VisualizeSpec(id))


def _checked(name: str, table: Any) -> Table:
    if not isinstance(table, Table):
        raise InvalidType(f"Expected `{name}` to be `wandb.Table` type, instead got {type(table).__name__}")
    return table


class Tables(NamedTuple):
    """Values of a run with the tables of charts instead of these."""

    values: dict[str, Any]
    specs: dict[str, dict[str, dict[str, Any]]]
    """what is recorded in the config of each chart: by the kind of its spec (`visualize` or `viz`), and its key"""


def without_charts(values: dict[str, Any]) -> Tables:
    """Put the tables of charts where W&B does: at the top, also for charts inside dicts, whose key is a path."""
    found: dict[str, CustomChart | Visualize] = {}
    rest = _taken(values, "", found)
    specs: dict[str, dict[str, dict[str, Any]]] = {}
    for key, chart in found.items():
        chart.set_key(key)
        _, kind, _ = chart.spec.config_key
        specs.setdefault(kind, {})[key] = chart.spec.config_value
        rest[chart.table_key] = chart.table
    return Tables(rest, specs)


def _taken(values: dict[str, Any], above: str, found: dict[str, CustomChart | Visualize]) -> dict[str, Any]:
    rest: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{above}{key}"
        if isinstance(value, CustomChart | Visualize):
            found[path] = value
        else:
            rest[key] = _taken(value, f"{path}.", found) if type(value) is dict else value
    return rest
