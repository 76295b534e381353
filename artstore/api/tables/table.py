"""Table: rows of values in named columns, like W&B's. It is stored as `<name>.table.json` in W&B's layout."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any, BinaryIO

from artstore.api.media.content import read
from artstore.api.media.layout import ArtifactPlace
from artstore.api.media.value import MediaSource
from artstore.api.tables import columns as kinds
from artstore.api.tables import frames
from artstore.api.tables.arrays import OpenEntry
from artstore.api.tables.columns import Type
from artstore.api.tables.comparing import TableDiff, same_row, table_diff
from artstore.api.tables.declared import declared
from artstore.api.tables.file import IMMUTABLE, INCREMENTAL, LOG_MODES, MUTABLE, Head, read_table
from artstore.api.tables.given import names_of, rows_of
from artstore.api.tables.keys import FOREIGN, KEYS, PRIMARY, Index, Linked, cell_of
from artstore.api.tables.refusals import ColumnThere, NoColumn, NoRow, WrongRows, WrongTable
from artstore.api.tables.rows import Rows
from artstore.api.tables.storing import arrays_in, type_read, write_rows
from artstore.api.tables.typed import IN_MEMORY, Computed, TypedRows
from artstore.backends.callers import warn_caller
from artstore.domain.html import MOST_ROWS, grid, page
from artstore.domain.names import printable
from artstore.errors import Damage, InvalidType, InvalidValue, NotFound, UsageError


class Table(TypedRows):
    """Rows of values in named columns. The number of rows has no limit.

    A column holds values of one type: numbers, text, booleans, times, lists, dicts or numpy arrays; and None, unless it
    isn't optional.

    A value comes back equal, or is refused when it is added:

    - NaN, NaT and pandas' NA come back as None, and a time with a zone as the same moment in UTC.
    - Types widen: int8 to int64, float32 to float64, a category to its values.
    - Inside a list or dict, times, NaN, tuples and sets are refused, and so are keys that aren't text.
    - Times with nanoseconds, times of day, time differences, Decimal, bytes, complex numbers and periods are refused.
      The hint says how to store them.

    Example:
        >>> table = wandb.Table(columns=["digit", "right"], data=[[7, True], [1, False]])
        >>> table.add_data(4, True)
        >>> table
        <Table 3 × 2: digit, right>
        >>> results = wandb.Artifact("results", type="evaluation")
        >>> results.add(table, "answers").path
        'answers.table.json'
    """

    MAX_ROWS = MAX_ARTIFACT_ROWS = 1 << 62
    """W&B's limits; here there is no limit."""
    entry: Any = None
    """The entry of the artifact that it was read from; None if it was made here."""
    increment: int | None = None
    """The number of the increment that it was read from; None for a table that is stored as a whole."""

    def __init__(
        self,
        columns: Any = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | list[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = IMMUTABLE,
    ) -> None:
        """Make a table.

        Args:
            columns: The names of the columns; by default `Input`, `Output` and `Expected`.
            data: A list of rows, a numpy array with two dimensions, a pandas DataFrame or a pyarrow Table.
            rows: A list of rows, if `data` isn't given.
            dataframe: A pandas DataFrame or pyarrow Table, whose columns are copied.
            dtype: The type of all columns, or a list with one for each, as in `cast`; by default that of the values.
            optional: Whether None is allowed, for all columns or as a list for each.
            allow_mixed_types: Allow any values in a column, except times, arrays, tuples and sets.
            log_mode: What a run does that logs the table again. `IMMUTABLE`: nothing. `MUTABLE`: it logs the whole
                table, if rows or columns were added. `INCREMENTAL`: it logs the rows that were added, and
                nothing else may be changed.

        Raises:
            InvalidType: If a value doesn't fit its column (a TypeError). If what is given isn't a table, it is also
                an AssertionError.
            InvalidValue: If a row has another length (a ValueError).
        """
        if log_mode not in (*LOG_MODES, None):
            raise WrongRows(f"Invalid log_mode: {printable(str(log_mode))}. Must be one of {list(LOG_MODES)}")
        self.log_mode = log_mode or IMMUTABLE
        self.recorded: dict[tuple[str, str], Any] = {}
        """what runs recorded of it when they logged it, by run and key"""
        self._warned = False
        if dataframe is not None and not frames.is_frame(dataframe):
            raise WrongTable(f"dataframe must be a pandas DataFrame or pyarrow Table, not {type(dataframe).__name__}")
        frame = dataframe if dataframe is not None else data if frames.is_frame(data) else None
        if frame is not None:
            names, rows = frames.rows_of(frame, IN_MEMORY)
        else:
            rows = rows_of(data if data is not None else rows)
            names = names_of(["Input", "Output", "Expected"] if columns is None else columns)
        super().__init__(names, None if allow_mixed_types else dtype, optional)
        if allow_mixed_types:
            self._types = dict.fromkeys(names, kinds.ANY)
        for row in rows:
            if not isinstance(row, list | tuple) and not (kinds.is_array(row) and row.ndim == 1):
                raise InvalidType(f"a row must be a list of values, not {row!r:.80}")
            self._add(list(row))

    @property
    def data(self) -> list[list[Any]] | Rows:
        """The rows: a list that may be changed in place.

        With more than 100,000 rows, it is a sequence that returns copies.
        """
        return self._rows

    # -- adding --

    def add_data(self, *data: Any) -> None:
        """Add a row.

        Args:
            *data: A value for each column.

        Raises:
            InvalidType: If a value doesn't fit its column (a TypeError). Then nothing is added.
            InvalidValue: If there are more or fewer values than columns (a ValueError).

        Example:
            >>> table = wandb.Table(columns=["digit", "right"])
            >>> table.add_data(7, True)
            >>> table.data
            [[7, True]]
        """
        self._changes()
        self._add(list(data))

    add_row = add_data

    def _changes(self) -> None:
        """Note that the table is changed, and so what runs recorded of it isn't all any more."""
        if self.log_mode == MUTABLE:
            self.recorded.clear()
        elif self.log_mode == IMMUTABLE and self.recorded:
            self.warn_of_change()

    def add_column(self, name: Any, data: Any, optional: bool = False) -> None:
        """Add a column.

        Args:
            name: The column's name.
            data: A value for each row. In a table without columns, each value makes a row.
            optional: Whether None is allowed.

        Raises:
            Conflict: If there is a column with this name.
            InvalidValue: If there are more or fewer values than rows.

        Example:
            >>> table = wandb.Table(columns=["digit"], data=[[7], [1]])
            >>> table.add_column("right", [True, False])
            >>> table.data
            [[7, True], [1, False]]
        """
        self._refuse_if_incremental("add_column")
        if name in self.columns:
            raise ColumnThere(f"the table has a column '{printable(str(name))}' already")
        if not isinstance(data, Iterable) or isinstance(data, str):
            raise WrongTable(f"a column's data must be a list of values, not {data!r:.80}")
        wider = Table([*self.columns, name], optional=[*self._optional.values(), optional])
        self._with_column(wider, name, list(data))
        self._changes()
        self._become(wider)

    def _refuse_if_incremental(self, verb: str) -> None:
        if self.log_mode == INCREMENTAL:
            raise UsageError(
                f"Operation '{verb}' is not supported for tables with log_mode='INCREMENTAL'. Use a different log mode "
                "like 'MUTABLE' or 'IMMUTABLE'."
            )

    def add_computed_columns(self, fn: Computed) -> None:
        """Add columns whose values a function computes.

        Args:
            fn: `fn(number, row)` returns a dict with a value for each new column. `row` is a dict too.

        Example:
            >>> table = wandb.Table(columns=["digit"], data=[[7], [1]])
            >>> table.add_computed_columns(lambda number, row: {"odd": row["digit"] % 2 == 1})
            >>> table.columns, table.data
            (['digit', 'odd'], [[7, True], [1, True]])
        """
        self._refuse_if_incremental("add_computed_columns")
        made: dict[Any, list[Any]] = {}
        for number, row in self.iterrows():
            for name, value in fn(number, dict(zip(self.columns, row, strict=True))).items():
                made.setdefault(name, []).append(value)
        wider = Table(list(self.columns), optional=list(self._optional.values()))
        wider._replace(self)
        for name, values in made.items():
            wider.add_column(name, values, optional=True)
        self._changes()
        self._become(wider)  # all of them, or none

    def cast(self, col_name: Any, dtype: Any, optional: bool = False) -> Type:
        """Declare the type of a column. All its values must have it, now and later.

        Args:
            col_name: The column.
            dtype: A Python type such as `int`, a class of media, `[T]` for lists of T, `[T, U]` for either of them,
                `{"a": T}` for dicts, or another value for that value alone.
            optional: Whether None is allowed.

        Returns:
            The type, as a table's file records it.

        Raises:
            NotFound: If there is no such column (also an AssertionError).
            InvalidType: If a value doesn't have the type (a TypeError).

        Example:
            >>> table = wandb.Table(columns=["digit"], data=[[7]])
            >>> table.cast("digit", int)
            {'wb_type': 'number'}
        """
        self._cast(col_name, declared(dtype), optional=bool(optional))
        self._changes()
        kind = self._types[col_name]
        return kinds.as_optional(kind) if optional else kind

    def set_pk(self, col_name: Any) -> None:
        """Make a column of text the table's key, by which other tables may name rows.

        Raises:
            NotFound: If there is no such column (also an AssertionError).
            InvalidType: If a value isn't text, or the table has a key already (a TypeError).
        """
        self._set_key(col_name, {"wb_type": PRIMARY})
        self._changes()

    def set_fk(self, col_name: Any, table: "Table", table_col: Any) -> None:
        """Make the values of a column name rows of another table, which is stored beside this one.

        Args:
            col_name: The column, which holds text.
            table: The other table.
            table_col: The column there that holds the same text.

        Raises:
            NotFound: If there is no such column in one of the tables (also an AssertionError).
            InvalidType: If a value isn't text (a TypeError).

        Example:
            >>> digits = wandb.Table(columns=["name", "value"], data=[["one", 1], ["two", 2]])
            >>> seen = wandb.Table(columns=["digit"], data=[["two"], ["one"]])
            >>> seen.set_fk("digit", digits, "name")
            >>> results = wandb.Artifact("results", type="evaluation")
            >>> results.add(seen, "seen").path
            'seen.table.json'
        """
        if not isinstance(table, Table):
            raise WrongTable(f"a key names rows of a Table, not of {type(table).__name__}")
        if table_col not in table.columns:
            raise NoColumn(
                f"the other table has no column '{printable(str(table_col))}'", hint=f"it has {table.columns}"
            )
        if self._types.get(col_name, kinds.UNKNOWN)["wb_type"] == PRIMARY:
            raise WrongTable(f"column '{printable(str(col_name))}' is the key of this table")
        self._set_key(col_name, {"wb_type": FOREIGN, "params": {"table": Linked(table), "col_name": table_col}})
        self._changes()

    # -- reading --

    def iterrows(self) -> Iterator[tuple[Index, list[Any]]]:
        """Go through the rows: (number, row)."""
        for number, row in enumerate(self._rows):
            yield Index.of(number, self), row

    def get_index(self) -> list[Index]:
        """The numbers of all rows. Each can return its row as a dict.

        Example:
            >>> table = wandb.Table(columns=["digit", "right"], data=[[7, True], [1, False]])
            >>> [number.get_row() for number in table.get_index()]
            [{'digit': 7, 'right': True}, {'digit': 1, 'right': False}]
        """
        return [Index.of(number, self) for number in range(len(self._rows))]

    def index_ref(self, index: int) -> Index:
        """The number of one row, which can return its row as a dict. Raises NoRow (an IndexError) if there is none."""
        if not -len(self._rows) <= index < len(self._rows):
            raise NoRow(f"the table has no row {index}: it has {len(self._rows)}")
        return Index.of(range(len(self._rows))[index], self)

    def get_column(self, name: Any, convert_to: str | None = None) -> Any:
        """The values of a column.

        Args:
            name: The column.
            convert_to: `numpy`, `pandas` or `arrow` for an array, a Series or a pyarrow Array instead of a list.

        Raises:
            NotFound: If there is no such column, or if the package isn't installed.
            InvalidValue: If the values can't be converted.

        Example:
            >>> table = wandb.Table(columns=["digit", "right"], data=[[7, True], [1, False]])
            >>> table.get_column("digit")
            [7, 1]
            >>> table.get_column("digit", convert_to="numpy")
            array([7, 1])
        """
        if name not in self.columns:
            raise NoColumn(f"the table has no column '{printable(str(name))}'", hint=f"there are {self.columns}")
        at = self.columns.index(name)
        values = [row[at] for row in self._rows]
        if convert_to is None:
            return values
        makers: dict[str, Callable[[], Any]] = {
            "numpy": lambda: frames.array_of(values),
            "pandas": lambda: frames.series_of(values, name),
            "arrow": lambda: frames.arrow().array([kinds.plain(value) for value in values]),
        }
        if convert_to in makers:
            try:
                return makers[convert_to]()
            except (ValueError, TypeError, NotImplementedError, OverflowError) as error:
                if isinstance(error, NotFound):
                    raise
                raise InvalidValue(f"column '{printable(str(name))}' can't be given to {convert_to}: {error}") from None
        raise WrongRows(f"convert_to '{convert_to}' is not one of numpy, pandas, arrow")

    def get_dataframe(self) -> Any:
        """A pandas DataFrame with these columns and rows.

        Values are exact. Whole numbers with missing values become `Int64`, booleans with missing values `boolean`.

        Raises:
            NotFound: If pandas isn't installed.

        Example:
            >>> table = wandb.Table(columns=["digit", "right"], data=[[7, True], [None, False]])
            >>> table.get_dataframe()
              digit  right
            0     7   True
            1  <NA>  False
        """
        return frames.frame_of(self.columns, self._rows)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key not in self._elsewhere} | {"recorded": {}}

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        """Whether columns and cells are equal, in order. 1 equals 1.0, and NaN doesn't equal NaN."""
        if not isinstance(other, Table):
            return NotImplemented
        if self.columns != other.columns or len(self._rows) != len(other._rows):
            return False
        return all(map(same_row, self._rows, other._rows))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Table {len(self._rows):,} × {len(self.columns)}: {printable(', '.join(map(str, self.columns)))}>"

    def _repr_html_(self) -> str:
        shown = [[str(kinds.in_order(cell)) for cell in row] for row in self._rows[:MOST_ROWS]]
        return page(repr(self)[1:-1], grid([str(name) for name in self.columns], shown, len(self._rows)))

    def diff(self, other: "Table", key: Any) -> TableDiff:
        """Compare this table with a newer one.

        Args:
            other: The newer table.
            key: The column, or columns, whose values identify a row.

        Returns:
            The keys of added, removed and changed rows, and the names of added and removed columns.

        Raises:
            NotFound: If a key column is missing.
            InvalidValue: If two rows have the same key.

        Example:
            >>> old = wandb.Table(columns=["digit", "right"], data=[[7, True], [1, False]])
            >>> new = wandb.Table(columns=["digit", "right"], data=[[7, False], [4, True]])
            >>> difference = old.diff(new, "digit")
            >>> difference.added, difference.removed, difference.changed
            ([[4]], [[1]], [[7]])
        """
        return table_diff((self.columns, self._rows), (other.columns, other._rows), key)

    # -- storing --

    def write(self, file: BinaryIO, add_file: Callable[[str, bytes], None], place: ArtifactPlace | None = None) -> None:
        """Write the table's file.

        Arrays that aren't stored in cells go to `add_file`, with their paths in the artifact. The files of media go to
        `place`; without one, they go to `add_file` too.
        """
        files = ArtifactPlace() if place is None else place
        types, forms = self.types_of(self._rows, None if self.increment is None else self._types)
        told = {str(name): form for name, form in forms.items() if form and form != "aware"}
        head = Head(self.columns, {}, told, self.log_mode, self.increment)
        write_rows(file, head, self._rows, len(self._rows), types, add_file, files)
        for path, content in files.files.items() if place is None else ():
            add_file(path, read(content))

    def to_json(self, run_or_artifact: Any = None) -> dict[str, Any]:
        """What the table's file records. What W&B's takes may be given; nothing is stored there."""
        out = io.BytesIO()
        self.write(out, lambda path, data: None)
        return dict(json.loads(out.getvalue()))

    @classmethod
    def read(cls, open_: Callable[[], BinaryIO], entry: OpenEntry, what: str) -> "Table":
        """Read a table's file.

        Args:
            open_: Opens the file from its start each time.
            entry: Opens other files of the artifact.
            what: The name of the file, for messages.

        Raises:
            Damage: If it isn't a table.
        """
        source = entry if isinstance(entry, MediaSource) else MediaSource(entry)
        head, rows = read_table(open_, what, source)
        with closing(rows):
            try:
                table = cls(head.columns, allow_mixed_types=True)
            except InvalidValue as error:
                raise Damage(f"{what}: {error}") from error
            table._types = {
                name: type_read(head.types.get(str(name), kinds.UNKNOWN), source, cls.read, what)
                for name in head.columns
            }
            table._take(rows, arrays_in(head, source, what), what)
        table._forms = {name: head.forms.get(str(name)) for name in head.columns}
        table.log_mode, table.increment = rows.log_mode, rows.increment
        return table

    def _take(self, rows: Iterable[list[Any]], arrays: dict[int, Any], what: str) -> None:
        """Add the rows of a file, with arrays by their columns' places. Raises Damage if there are too few arrays."""
        keys = [(at, name) for at, name in enumerate(self.columns) if self._types[name]["wb_type"] in KEYS]
        for number, row in enumerate(rows):
            for at, cells in arrays.items():
                if number >= len(cells):
                    raise Damage(f"{what} has a column of {len(cells)} arrays, but more rows")
                row[at] = cells[number]
            for at, name in keys:
                row[at] = cell_of(self._types[name], row[at], self, name)
            self._append(row)

    @classmethod
    def from_json(cls, json_obj: dict[str, Any], source_artifact: Any) -> "Table":
        """The table in the JSON of a table's file. Its other files are read from an artifact."""

        def entry(path: str) -> BinaryIO:
            return source_artifact.get_entry(path).open("rb")  # type: ignore[no-any-return]  # a binary file

        return cls.read(lambda: io.BytesIO(json.dumps(json_obj).encode()), entry, "the table")

    def part(self, start: int, increment: int) -> "Table":
        """The rows from `start` on, as the increment with this number."""
        part = Table(log_mode=INCREMENTAL)
        part._replace(self)
        part._rows, part.increment = self._rows[start:], increment
        return part

    def join(self, other: "Table") -> None:
        """Add the rows of the next increment, as they are. Raises Damage if it has other columns."""
        if self.columns != other.columns:
            raise Damage(f"increments of a table have other columns: {self.columns} and {other.columns}")
        for name, kind in other._types.items():
            self._types[name] = kinds.merge(self._types[name], kind) or kinds.ANY
        for row in other._rows:
            self._append(row)

    def warn_of_change(self) -> None:
        """Warn once that a run that has logged the table doesn't log how it was changed since."""
        if not self._warned:
            self._warned = True
            warn_caller(
                "You are mutating a Table with log_mode='IMMUTABLE' that has been logged already. Subsequent log() "
                "calls will have no effect. Set log_mode='MUTABLE' to enable re-logging after mutations"
            )
