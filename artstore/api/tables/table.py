"""Tables: rows of values in named columns, as W&B's `Table`; stored as `<name>.table.json` in its layout."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

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
"""Rows up to which a table is a list in memory; more are in a file without a name, a few in memory at a time."""


class Index(int):
    """A row's number, which knows its table, as W&B's."""

    table: "Table"

    @classmethod
    def of(cls, number: int, table: "Table") -> "Index":
        self = cls(number)
        self.table = table
        return self

    def get_row(self) -> dict[Any, Any]:
        return dict(zip(self.table.columns, self.table.data[self], strict=True))


class Table:
    """Rows of numbers, text, booleans, times, None, lists, dicts and numpy arrays. There is no limit to their number.

    `columns` are `Input`, `Output`, `Expected` unless given; `data` is a list of rows or a numpy array, `dataframe` a
    pandas DataFrame or pyarrow Table, whose columns are copied. A column holds values of one type, and None unless
    `optional` is False; with `allow_mixed_types` any.

    A value comes back equal, or is refused when it is added. NaN, NaT and pandas' NA come back as None, a time with a zone
    as the same moment in UTC; a time may have microseconds, not nanoseconds. Types widen: int8 to int64, float32 to float64,
    a category to its values. Below a list or dict times become text, and tuples and sets become lists. Times of day, time
    differences, Decimal, bytes, complex numbers and periods are refused, with a hint how to store them.
    """

    MAX_ROWS = MAX_ARTIFACT_ROWS = 1 << 62
    """W&B's limits: there are none here."""

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
        """`dtype` and `log_mode` are accepted as W&B's; types are found by the values. Raises InvalidType (TypeError) for
        a value that does not fit its column, InvalidValue for a row of another length.
        """
        if log_mode not in ("IMMUTABLE", "MUTABLE", "INCREMENTAL", None):
            raise InvalidValue(f"log_mode '{log_mode}' is not one of IMMUTABLE, MUTABLE, INCREMENTAL")
        self.log_mode = log_mode
        self._rows: list[list[Any]] | Rows = []
        if dataframe is not None and not frames.is_frame(dataframe):
            raise InvalidType(f"dataframe is a pandas DataFrame or a pyarrow Table, not a {type(dataframe).__name__}")
        frame = dataframe if dataframe is not None else data if frames.is_frame(data) else None
        if frame is not None:
            self.columns, rows = frames.rows_of(frame, IN_MEMORY)
        else:
            rows = _rows_of(data if data is not None else rows)
            self.columns = _names_of(["Input", "Output", "Expected"] if columns is None else columns)
        _check_names(self.columns)
        flags = [optional] * len(self.columns) if isinstance(optional, bool) else optional
        if not isinstance(flags, list) or len(flags) != len(self.columns):
            raise InvalidType("optional is True or False, or a list with one of these for each column")
        self._optional = dict(zip(self.columns, flags, strict=True))
        self._types: dict[Any, Type] = dict.fromkeys(self.columns, kinds.ANY if allow_mixed_types else kinds.UNKNOWN)
        self._forms: dict[Any, str | None] = dict.fromkeys(self.columns)
        for row in rows:
            if not isinstance(row, list | tuple) and not (kinds.is_array(row) and row.ndim == 1):
                raise InvalidType(f"a row is a list of values, not {row!r:.80}")
            self.add_data(*row)

    @property
    def data(self) -> list[list[Any]] | Rows:
        """The rows: a list that may be changed in place; of more than 100,000 a sequence that gives out copies."""
        return self._rows

    # -- adding --

    def add_data(self, *data: Any) -> None:
        """Add a row: a value for each column. All or nothing."""
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
        """The column's type and form with this value in it. Raises InvalidType where it does not fit."""
        column = f"column '{printable(str(name))}'"
        try:
            kind = kinds.type_of(value)
        except InvalidValue as error:
            raise type(error)(f"{column}: {error}", hint=error.hint) from error
        if kind == kinds.NONE:
            if not self._optional.get(name, True):
                raise InvalidType(f"{column} has no value in a row, and is not optional")
            return before, form
        own = kinds.form_of(value)
        if before == kinds.ANY:
            if own:
                raise InvalidType(f"{column} holds values of any type: {value!r:.80} would not come back as it is")
            return before, own
        merged = kinds.merge(before, kind)
        if merged is None or form not in (None, own):
            raise InvalidType(
                f"{column} holds {kinds.words(before)}{f' ({form})' if form else ''}: {value!r:.80} does not fit",
                hint="Table(…, allow_mixed_types=True) takes any value but times and arrays",
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
        """Add a column: a value for each row (for an empty table: its rows)."""
        if name in self.columns:
            raise Conflict(f"the table has a column '{printable(str(name))}' already")
        if not isinstance(data, Iterable) or isinstance(data, str):
            raise InvalidType(f"a column's data is a list of values, not {data!r:.80}")
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
        """Add the columns that `fn(number, row as a dict)` gives for each row."""
        made: dict[Any, list[Any]] = {}
        for number, row in self.iterrows():
            for name, value in fn(number, dict(zip(self.columns, row, strict=True))).items():
                made.setdefault(name, []).append(value)
        wider = Table(list(self.columns), optional=list(self._optional.values()))
        wider._take_over(self)
        for name, values in made.items():
            wider.add_column(name, values, optional=True)
        self._take_over(wider)  # all of them, or none

    # -- looking --

    def iterrows(self) -> Iterator[tuple[Index, list[Any]]]:
        for number, row in enumerate(self._rows):
            yield Index.of(number, self), row

    def get_index(self) -> list[Index]:
        return [Index.of(number, self) for number in range(len(self._rows))]

    def index_ref(self, index: int) -> Index:
        return Index.of(range(len(self._rows))[index], self)

    def get_column(self, name: Any, convert_to: str | None = None) -> Any:
        """A column's values as a list, or (`convert_to="numpy"`, `"pandas"`, `"arrow"`) an array, Series or pyarrow Array."""
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
                raise InvalidValue(
                    f"column '{printable(str(name))}' can't be given to {convert_to}: {error}"
                ) from error
        raise InvalidValue(f"convert_to '{convert_to}' is not one of numpy, pandas, arrow")

    def get_dataframe(self) -> Any:
        """A pandas DataFrame with these columns and rows. Values are exact: whole numbers with some missing come as `Int64`,
        booleans with some missing as `boolean`, missing values as pandas has them.
        """
        return frames.frame_of(self.columns, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        """Whether columns and cells are equal, in order; 1 and 1.0 are, NaN and NaN are not."""
        if not isinstance(other, Table):
            return NotImplemented
        if self.columns != other.columns or len(self._rows) != len(other._rows):
            return False
        return all(map(same_row, self._rows, other._rows))

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"<Table {len(self._rows):,} × {len(self.columns)}: {printable(', '.join(map(str, self.columns)))}>"

    def _repr_html_(self) -> str:
        shown = [[str(cell) for cell in row] for row in self._rows[:MOST_ROWS]]
        return page(repr(self)[1:-1], grid([str(name) for name in self.columns], shown, len(self._rows)))

    def diff(self, other: "Table", key: Any) -> TableDiff:
        """What differs in `other` (the newer one): rows added, removed and changed, told by the values of `key`, a column
        or a list of them. Raises InvalidValue when a key is there twice.
        """
        return table_diff((self.columns, self._rows), (other.columns, other._rows), key)

    # -- stored --

    def write(self, file: BinaryIO, add_file: Callable[[str, bytes], None]) -> None:
        """Write the table; arrays that can't stand in cells are given to `add_file`, under their paths in the artifact."""
        types, forms = self._types_now()
        for at, name in enumerate(self.columns):
            kind = types[str(name)]
            if kinds.without_none(kind)["wb_type"] == "ndarray":
                cells = [row[at] for row in self._rows]
                types[str(name)] = put_beside(str(name), cells, kinds.without_none(kind), add_file)
        write_table(file, Head(self.columns, types, forms), self._rows, len(self._rows))

    def _types_now(self) -> tuple[dict[str, Type], dict[str, str]]:
        """Types and forms by column; found anew, since rows may have been changed in place."""
        types = {name: kind if kind == kinds.ANY else kinds.UNKNOWN for name, kind in self._types.items()}
        forms: dict[Any, str | None] = dict.fromkeys(self.columns)
        for row in self._rows:
            if len(row) != len(self.columns):
                raise InvalidValue(f"a row has {len(row)} values for {len(self.columns)} columns")
            for name, value in zip(self.columns, row, strict=True):
                if type(value) is not _usual.get(types[name]["wb_type"]):
                    types[name], forms[name] = self._checked(name, types[name], forms[name], value)
        told = {
            str(name): kinds.as_optional(kind) if self._optional.get(name, True) else kind
            for name, kind in types.items()
        }
        return told, {str(name): form for name, form in forms.items() if form and form != "aware"}

    @classmethod
    def read(cls, open_: Callable[[], BinaryIO], entry: OpenEntry, what: str) -> "Table":
        """The table in a file; `entry` opens others of its artifact. Raises Damage for what is none."""
        head, rows = read_table(open_, what)
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
                    raise Damage(f"{what} has a column of {len(cells)} arrays for more rows")
                row[at] = cells[number]
            table._append(row)
        types = {name: kinds.without_none(head.types.get(str(name), kinds.UNKNOWN)) for name in head.columns}
        table._types = {name: kinds.ANY if kind["wb_type"] == "union" else kind for name, kind in types.items()}
        table._forms = {name: head.forms.get(str(name)) for name in head.columns}
        return table


_usual: dict[str, type] = {"number": int, "string": str, "boolean": bool}
"""What most cells of a column are: one look, and nothing more to be checked."""


def _rows_of(data: Any) -> Any:
    """What rows are given by: a list, or an array of two dimensions."""
    if data is None:
        return ()
    if kinds.is_array(data):
        if data.ndim != 2:
            raise InvalidType(f"a table's data has two dimensions, not {data.ndim}")
        return data.tolist() if data.dtype.kind != "M" else [list(row) for row in data]
    if isinstance(data, str | dict) or not isinstance(data, Iterable):
        raise InvalidType(f"a table's data is a list of rows, not a {type(data).__name__}")
    return data


def _names_of(columns: Any) -> list[Any]:
    if isinstance(columns, str) or not isinstance(columns, Iterable):
        raise InvalidType(f"columns is a list of names, not {columns!r:.80}")
    return list(columns)


def _check_names(columns: list[Any]) -> None:
    for name in columns:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise InvalidType(f"a column's name is text or a number, not {name!r:.80}")
        if any("\ud800" <= c <= "\udfff" for c in str(name)):
            raise InvalidValue(f"the column name {name!r:.80} is not valid Unicode")
    seen: set[str] = set()
    for name in map(str, columns):
        if name in seen:
            raise InvalidValue(f"two columns are called '{printable(name)}'")
        seen.add(name)
