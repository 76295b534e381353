"""Tables of an artifact that belong together: two that are joined by a key, or all in a folder as one."""

from collections.abc import Iterator
from typing import Any, ClassVar, Self

from artstore.api.tables.naming import SUFFIX, is_table
from artstore.api.tables.table import Table
from artstore.domain.names import printable
from artstore.errors import Damage, InvalidValue, NoEntry


class TableGroup:
    """Tables of an artifact that are one object there. Its file says which they are."""

    type_name: ClassVar[str]
    """Its `_type` in W&B's files, and the end of the name of its file."""
    entry: Any = None
    """The entry of the artifact that it was got from; None if it was made here."""

    @classmethod
    def with_suffix(cls, name: str) -> str:
        """The name of its file, such as `both.joined-table.json`."""
        return name if name.endswith(f".{cls.type_name}.json") else f"{name}.{cls.type_name}.json"

    def told(self, artifact: Any, name: str) -> dict[str, Any]:
        """Add the tables that aren't in an artifact's draft yet, and return what is recorded of the group there.

        `name` is the path of its file. Raises InvalidValue if a table isn't there.
        """
        raise NotImplementedError

    @classmethod
    def from_json(cls, json_obj: Any, source_artifact: Any) -> Self:
        """The group that was recorded in an artifact. Raises Damage if it isn't one."""
        raise NotImplementedError


class PartitionedTable(TableGroup):
    """All tables in a folder of an artifact, as one table. They are read one after the other.

    Example:
        >>> results = wandb.Artifact("results", type="evaluation")
        >>> for day in ("mon", "tue"):
        ...     _ = results.add(wandb.Table(columns=["day"], data=[[day]]), f"days/{day}")
        >>> results.add(wandb.PartitionedTable("days"), "week").path
        'week.partitioned-table.json'
        >>> results.save()
        >>> [row for number, row in results.get("week").iterrows()]
        [['mon'], ['tue']]
    """

    type_name = "partitioned-table"

    def __init__(self, parts_path: str) -> None:
        """Name the folder of an artifact in which the tables are."""
        self.parts_path = parts_path
        self.parts: list[Any] = []
        """the entries of the tables, in the order of their paths; empty until it is got from an artifact"""

    def told(self, artifact: Any, name: str) -> dict[str, Any]:
        """What is recorded of it. Its tables are shared with the artifact that it was got from, if that is another."""
        for part in self.parts:
            try:
                artifact.get_entry(part.path)
            except NoEntry:
                artifact.add(part.parent_artifact().get(part.path), part.path)
        return {"_type": self.type_name, "parts_path": self.parts_path}

    @classmethod
    def from_json(cls, json_obj: Any, source_artifact: Any) -> Self:
        """The tables that were recorded in an artifact. Raises Damage if no folder is."""
        folder = json_obj.get("parts_path") if isinstance(json_obj, dict) else None
        if not isinstance(folder, str):
            raise Damage("the partitioned table that is recorded here names no folder")
        self, start = cls(folder), f"{folder.strip('/')}/"
        entries = source_artifact.manifest.entries
        self.parts = [entries[path] for path in sorted(entries) if path.startswith(start) and is_table(path)]
        return self

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Go through the rows of all tables: (number, row). Raises InvalidValue if they have other columns."""
        columns, number = None, 0
        for part in self.parts:
            table = part.parent_artifact().get(part.path)
            if columns is None:
                columns = table.columns
            elif columns != table.columns:
                raise InvalidValue(f"Table parts have non-matching columns. {columns} != {table.columns}")
            for _, row in table.iterrows():
                yield number, row
                number += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PartitionedTable) and self.parts_path == other.parts_path

    def __hash__(self) -> int:
        return hash(self.parts_path)

    def __repr__(self) -> str:
        return f"<PartitionedTable {printable(self.parts_path)}>"


class JoinedTable(TableGroup):
    """Two tables that are joined by a key.

    Example:
        >>> seen = wandb.Table(columns=["image", "digit"], data=[["1.png", 7]])
        >>> true = wandb.Table(columns=["name", "digit"], data=[["1.png", 1]])
        >>> results = wandb.Artifact("results", type="evaluation")
        >>> results.add(wandb.JoinedTable(seen, true, ["image", "name"]), "both").path
        'both.joined-table.json'
        >>> results.save()
        >>> results.get("both").tables == (seen, true)
        True
    """

    type_name = "joined-table"

    def __init__(self, table1: Any, table2: Any, join_key: str | list[str]) -> None:
        """Join two tables.

        Args:
            table1: A Table or PartitionedTable, the path of one in the artifact, or an entry of another artifact.
            table2: The other one.
            join_key: The column by which they are joined, or a list of two: the first table's and the second's.

        Raises:
            InvalidValue: If these aren't tables and columns (a ValueError).
        """
        if not isinstance(join_key, str) and (not isinstance(join_key, list) or len(join_key) != 2):
            raise InvalidValue("JoinedTable join_key should be a string or a list of two strings")
        for number, table in enumerate((table1, table2), start=1):
            if not _is_table(table):
                raise InvalidValue(
                    f"JoinedTable table{number} should be an artifact path to a table or wandb.Table object"
                )
        self.tables = (table1, table2)
        self.join_key = join_key

    def told(self, artifact: Any, name: str) -> dict[str, Any]:
        """What is recorded of it. Its tables are added beside it, or shared with their artifact."""
        base = name.removesuffix(f".{self.type_name}.json").replace("/", "_")
        one, two = (_path_in(artifact, table, f"t{number}_{base}") for number, table in enumerate(self.tables, start=1))
        return {"_type": self.type_name, "join_key": self.join_key, "table1": one, "table2": two}

    @classmethod
    def from_json(cls, json_obj: Any, source_artifact: Any) -> Self:
        """The tables that were recorded in an artifact. One that isn't there is its path."""
        told = json_obj if isinstance(json_obj, dict) else {}
        paths = [told.get("table1"), told.get("table2")]
        if not all(
            isinstance(path, str) and path.endswith((SUFFIX, f".{PartitionedTable.type_name}.json")) for path in paths
        ):
            raise Damage("the joined table that is recorded here names no tables")
        tables = [source_artifact.get(path) for path in paths]
        one, two = (path if table is None else table for path, table in zip(paths, tables, strict=True))
        try:
            return cls(one, two, told.get("join_key", 0))
        except InvalidValue as error:
            raise Damage(f"the joined table that is recorded here can't be read: {error}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JoinedTable) and (self.tables, self.join_key) == (other.tables, other.join_key)

    __hash__ = None  # type: ignore[assignment]  # its tables change

    def __repr__(self) -> str:
        key = self.join_key if isinstance(self.join_key, str) else " = ".join(map(str, self.join_key))
        return f"<JoinedTable by {printable(key)}>"


GROUPS: tuple[type[TableGroup], ...] = (JoinedTable, PartitionedTable)


def _is_table(table: Any) -> bool:
    if isinstance(table, str):
        return table.endswith((SUFFIX, f".{PartitionedTable.type_name}.json"))
    return isinstance(table, Table | PartitionedTable) or (
        hasattr(table, "ref_url") and str(table.path).endswith(SUFFIX)
    )


def _path_in(artifact: Any, table: Any, name: str) -> str:
    """The path of a table in an artifact, to which it is added unless it is there. Raises InvalidValue if it can't be."""
    if isinstance(table, Table | PartitionedTable):
        known = table.entry.path.rpartition("/")[2] if table.entry is not None else name
        return str(artifact.add(table, known).path)
    if not isinstance(table, str):
        return str(artifact.add(table.parent_artifact().get(table.path), table.digest[:20]).path)
    try:
        return str(artifact.get_entry(table).path)
    except NoEntry:
        pass
    raise InvalidValue(
        f"JoinedTable table:{printable(table)} not found in artifact. Add a table to the artifact using "
        f"Artifact#add(<table>, {printable(table)}) before adding this JoinedTable"
    )
