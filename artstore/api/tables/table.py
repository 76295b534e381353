"""Table: rows of values in named columns, like W&B's. It is stored as `<name>.table.json` in W&B's layout."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from artstore.api.media.content import read
from artstore.api.media.layout import ArtifactPlace
from artstore.api.media.value import MediaSource
from artstore.api.tables import columns as kinds
from artstore.api.tables import frames
from artstore.api.tables.arrays import OpenEntry, array_of, put_beside
from artstore.api.tables.columns import Type
from artstore.api.tables.comparing import TableDiff, same_row, table_diff
from artstore.api.tables.file import Head, read_table, write_table
from artstore.api.tables.rows import Rows
from artstore.domain.html import MOST_ROWS, grid, page
from artstore.domain.names import printable
from artstore.errors import Conflict, Damage, InvalidType, InvalidValue, NotFound

IN_MEMORY = 100_000
"""The most rows of a table that are in memory. More are in a temporary file, with a few in memory at a time."""


class Index(int):
    """A row's number, which knows its table, as W&B's does."""

    table: "Table"

    @classmethod
    def of(cls, number: int, table: "Table") -> "Index":
        """The number of a row in a table."""
        self = cls(number)
        self.table = table
        return self

    def get_row(self) -> dict[Any, Any]:
        """The row as a dict, by column."""
        return dict(zip(self.table.columns, self.table.data[self], strict=True))


class Table:
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

    def __init__(
        self,
        columns: Any = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: bool | list[bool] = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = "IMMUTABLE",
    ) -> None:
        """Make a table.

        Args:
            columns: The names of the columns; by default `Input`, `Output` and `Expected`.
            data: A list of rows, a numpy array with two dimensions, a pandas DataFrame or a pyarrow Table.
            rows: A list of rows, if `data` isn't given.
            dataframe: A pandas DataFrame or pyarrow Table, whose columns are copied.
            dtype: Accepted as in W&B; types come from the values.
            optional: Whether None is allowed, for all columns or as a list for each.
            allow_mixed_types: Allow any values in a column, except times, arrays, tuples and sets.
            log_mode: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidType: If a value doesn't fit its column (a TypeError).
            InvalidValue: If a row has another length (a ValueError).
        """
        if log_mode not in ("IMMUTABLE", "MUTABLE", "INCREMENTAL", None):
            raise InvalidValue(f"log_mode '{log_mode}' is not one of IMMUTABLE, MUTABLE, INCREMENTAL")
        self.log_mode = log_mode
        self._rows: list[list[Any]] | Rows = []
        if dataframe is not None and not frames.is_frame(dataframe):
            raise InvalidType(f"dataframe must be a pandas DataFrame or pyarrow Table, not {type(dataframe).__name__}")
        frame = dataframe if dataframe is not None else data if frames.is_frame(data) else None
        if frame is not None:
            self.columns, rows = frames.rows_of(frame, IN_MEMORY)
        else:
            rows = _rows_of(data if data is not None else rows)
            self.columns = _names_of(["Input", "Output", "Expected"] if columns is None else columns)
        _check_names(self.columns)
        flags = [optional] * len(self.columns) if isinstance(optional, bool) else optional
        if not isinstance(flags, list) or len(flags) != len(self.columns):
            raise InvalidType("optional must be True or False, or a list with one of these for each column")
        self._optional = dict(zip(self.columns, flags, strict=True))
        self._types: dict[Any, Type] = dict.fromkeys(self.columns, kinds.ANY if allow_mixed_types else kinds.UNKNOWN)
        self._forms: dict[Any, str | None] = dict.fromkeys(self.columns)
        for row in rows:
            if not isinstance(row, list | tuple) and not (kinds.is_array(row) and row.ndim == 1):
                raise InvalidType(f"a row must be a list of values, not {row!r:.80}")
            self.add_data(*row)

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
        if len(data) != len(self.columns):
            raise InvalidValue(f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}")
        types, forms = self._types, self._forms
        found = {
            name: self._checked(name, types[name], forms[name], value)
            for name, value in zip(self.columns, data, strict=True)
            if type(value) is not _usual.get(types[name]["wb_type"])
        }
        for name, (kind, form) in found.items():
            types[name], forms[name] = kind, form
        self._append(list(data))

    add_row = add_data

    def _checked(self, name: Any, before: Type, form: str | None, value: Any) -> tuple[Type, str | None]:
        """The column's type and form with this value in it. Raises InvalidType if it doesn't fit."""
        column = f"column '{printable(str(name))}'"
        try:
            kind = kinds.type_of(value)
        except InvalidValue as error:
            raise type(error)(f"{column}: {error}", hint=error.hint) from None
        if kind == kinds.NONE:
            if not self._optional.get(name, True):
                raise InvalidType(f"{column} has no value in a row, and is not optional")
            return before, form
        own = kinds.form_of(value)
        if before == kinds.ANY:
            if own or _looks_like_media(value):
                raise InvalidType(
                    f"{column} has values of any type: {value!r:.80} would not come back equal",
                    hint=kinds.way_out(value),
                )
            return before, own
        merged = kinds.merge(before, kind)
        if merged is None or form not in (None, own):
            raise InvalidType(
                f"{column} holds {kinds.words(before)}{f' ({form})' if form else ''}: {value!r:.80} does not fit",
                hint="Table(…, allow_mixed_types=True) accepts any values except times, arrays, tuples and sets",
            )
        return merged, own

    def _append(self, row: list[Any]) -> None:
        if len(self._rows) == IN_MEMORY and isinstance(self._rows, list):
            spilled = Rows()
            for old in self._rows:
                spilled.append(old)
            self._rows = spilled
        self._rows.append(row)

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
        if name in self.columns:
            raise Conflict(f"the table has a column '{printable(str(name))}' already")
        if not isinstance(data, Iterable) or isinstance(data, str):
            raise InvalidType(f"a column's data must be a list of values, not {data!r:.80}")
        values = list(data)
        if self.columns and len(values) != len(self._rows):
            raise InvalidValue(f"column '{printable(str(name))}' has {len(values)} values for {len(self._rows)} rows")
        rows = self._rows if self.columns else [[] for _ in values]
        wider = Table([*self.columns, name], optional=[*self._optional.values(), optional])
        wider._types |= {known: kind for known, kind in self._types.items() if kind == kinds.ANY}
        for row, value in zip(rows, values, strict=True):
            wider.add_data(*row, value)
        self._take_over(wider)

    def _take_over(self, other: "Table") -> None:
        self.columns, self._rows, self._optional = other.columns, other._rows, other._optional
        self._types, self._forms = other._types, other._forms

    def add_computed_columns(self, fn: Callable[[int, dict[Any, Any]], dict[Any, Any]]) -> None:
        """Add columns whose values a function computes.

        Args:
            fn: `fn(number, row)` returns a dict with a value for each new column. `row` is a dict too.

        Example:
            >>> table = wandb.Table(columns=["digit"], data=[[7], [1]])
            >>> table.add_computed_columns(lambda number, row: {"odd": row["digit"] % 2 == 1})
            >>> table.columns, table.data
            (['digit', 'odd'], [[7, True], [1, True]])
        """
        made: dict[Any, list[Any]] = {}
        for number, row in self.iterrows():
            for name, value in fn(number, dict(zip(self.columns, row, strict=True))).items():
                made.setdefault(name, []).append(value)
        wider = Table(list(self.columns), optional=list(self._optional.values()))
        wider._take_over(self)
        for name, values in made.items():
            wider.add_column(name, values, optional=True)
        self._take_over(wider)  # all of them, or none

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
        """The number of one row, which can return its row as a dict. Raises IndexError if there is no such row."""
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
            raise NotFound(f"the table has no column '{printable(str(name))}'", hint=f"there are {self.columns}")
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
        raise InvalidValue(f"convert_to '{convert_to}' is not one of numpy, pandas, arrow")

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
        return {key: value for key, value in vars(self).items() if key != "entry"}

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
        types, forms = self._types_now()
        for at, name in enumerate(self.columns):
            kind = types[str(name)]
            if kinds.without_none(kind)["wb_type"] == "ndarray":
                cells = [row[at] for row in self._rows]
                types[str(name)] = put_beside(str(name), cells, kinds.without_none(kind), add_file)
        head = Head(self.columns, types, forms)
        write_table(file, head, self._rows, len(self._rows), lambda media: media.to_json(files))
        for path, content in files.files.items() if place is None else ():
            add_file(path, read(content))

    def _types_now(self) -> tuple[dict[str, Type], dict[str, str]]:
        """The types and forms by column. They are computed again, because rows may have been changed in place."""
        types = {name: kind if kind == kinds.ANY else kinds.UNKNOWN for name, kind in self._types.items()}
        forms: dict[Any, str | None] = dict.fromkeys(self.columns)
        for row in self._rows:
            if len(row) != len(self.columns):
                raise InvalidValue(f"a row has {len(row)} values for {len(self.columns)} columns")
            for name, value in zip(self.columns, row, strict=True):
                if type(value) is not _usual.get(types[name]["wb_type"]):
                    types[name], forms[name] = self._checked(name, types[name], forms[name], value)
        for name, before in self._types.items():
            if (
                types[name]["wb_type"] == before["wb_type"] == "image-file"
            ):  # a file has more names of classes than cells
                types[name] = kinds.merge(before, types[name]) or types[name]
        told = {
            str(name): kinds.as_optional(kind) if self._optional.get(name, True) else kind
            for name, kind in types.items()
        }
        return told, {str(name): form for name, form in forms.items() if form and form != "aware"}

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
        head, rows = read_table(open_, what, entry if isinstance(entry, MediaSource) else MediaSource(entry))
        try:
            table = cls(head.columns, allow_mixed_types=True)
        except InvalidValue as error:
            raise Damage(f"{what}: {error}") from error
        arrays = {
            at: array_of(kind, entry, what)
            for at, (kind, _) in enumerate(head.decoders())
            if kind["wb_type"] == "ndarray" and "serialization_path" in kind.get("params", {})
        }
        for number, row in enumerate(rows):
            for at, cells in arrays.items():
                if number >= len(cells):
                    raise Damage(f"{what} has a column of {len(cells)} arrays, but more rows")
                row[at] = cells[number]
            table._append(row)
        types = {name: kinds.without_none(head.types.get(str(name), kinds.UNKNOWN)) for name in head.columns}
        table._types = {name: kinds.ANY if kind["wb_type"] == "union" else kind for name, kind in types.items()}
        table._forms = {name: head.forms.get(str(name)) for name in head.columns}
        return table


_usual: dict[str, type] = {"number": int, "string": str, "boolean": bool}
"""The usual Python type of a cell by its column's type. A value of that type needs no further check."""


def _looks_like_media(value: Any) -> bool:
    """Whether a list or dict would come back as an image or other media."""
    if not isinstance(value, list | dict):
        return False
    from artstore.api.media.kinds import names_media

    return names_media(value)


def _rows_of(data: Any) -> Any:
    """Rows as users give them: a list, or an array of two dimensions. Raises InvalidType."""
    if data is None:
        return ()
    if kinds.is_array(data):
        if data.ndim != 2:
            raise InvalidType(f"a table's data must have two dimensions, not {data.ndim}")
        return data.tolist() if data.dtype.kind != "M" else [list(row) for row in data]
    if isinstance(data, str | dict) or not isinstance(data, Iterable):
        raise InvalidType(f"a table's data must be a list of rows, not {type(data).__name__}")
    return data


def _names_of(columns: Any) -> list[Any]:
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InvalidType(f"columns must be a list of names, not {columns!r:.80}")
    return list(columns)


def _check_names(columns: list[Any]) -> None:
    for name in columns:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise InvalidType(f"a column's name must be text or a number, not {name!r:.80}")
        if any("\ud800" <= c <= "\udfff" for c in str(name)):
            raise InvalidValue(f"the column name {name!r:.80} is not valid Unicode")
    seen: set[str] = set()
    for name in map(str, columns):
        if name in seen:
            raise InvalidValue(f"two columns are called '{printable(name)}'")
        seen.add(name)
