"""Typed rows: rows whose columns have types, from their values or as they were declared. What doesn't fit is refused."""

from collections.abc import Callable
from typing import Any

from artstore.api.tables import columns as kinds
from artstore.api.tables.columns import Type
from artstore.api.tables.declared import assigned, declared
from artstore.api.tables.keys import KEYS, PRIMARY, Linked, cell_of, names_other
from artstore.api.tables.refusals import NoColumn, WrongRows, WrongTable
from artstore.api.tables.rows import Rows
from artstore.domain.names import printable
from artstore.errors import InvalidType, InvalidValue

IN_MEMORY = 100_000
"""The most rows of a table that are in memory. More are in a temporary file, with a few in memory at a time."""
USUAL: dict[str, type] = {"number": int, "string": str, "boolean": bool}
"""The usual Python type of a cell by its column's type. A value of that type needs no further check."""


class TypedRows:
    """The columns and rows of a table, and the types of the columns."""

    added: Any = None
    """The artifact to which it was added last, and its path there."""
    _elsewhere = ("entry", "recorded", "added")
    """What a copy doesn't have: the places where the table is stored."""

    def __init__(self, columns: list[Any], dtype: Any, optional: bool | list[bool]) -> None:
        """Begin without rows. `dtype` and `optional` are of all columns, or lists with one of each."""
        _check_names(columns)
        self.columns = columns
        self._rows: list[list[Any]] | Rows = []
        self._optional = dict(zip(columns, self._each("optional", optional), strict=True))
        self._types: dict[Any, Type] = dict.fromkeys(columns, kinds.UNKNOWN)
        self._forms: dict[Any, str | None] = dict.fromkeys(columns)
        self._declared: set[Any] = set()
        """the columns whose types were declared"""
        for name, each in zip(columns, self._each("dtype", dtype), strict=True) if dtype is not None else ():
            self._types[name] = declared(each)
            self._declared |= {name} if self._types[name] != kinds.UNKNOWN else set()

    def _each(self, what: str, given: Any) -> list[Any]:
        """One of what is given for each column."""
        each = given if isinstance(given, list) else [given] * len(self.columns)
        if len(each) != len(self.columns) or (what == "optional" and not all(isinstance(one, bool) for one in each)):
            raise InvalidType(f"{what} must be one value, or a list with one for each column")
        return each

    def _add(self, row: list[Any]) -> None:
        """Add a row. Raises InvalidValue for another number of values, InvalidType for one that doesn't fit."""
        if len(row) != len(self.columns):
            raise InvalidValue(f"This table expects {len(self.columns)} columns: {self.columns}, found {len(row)}")
        types, forms = self._types, self._forms
        found = {
            name: self._checked(name, types[name], forms[name], value)
            for name, value in zip(self.columns, row, strict=True)
            if type(value) is not USUAL.get(types[name]["wb_type"])
        }
        for name, (kind, form) in found.items():
            begins, types[name], forms[name] = types[name]["wb_type"] != kind["wb_type"], kind, form
            if kind["wb_type"] in KEYS:
                at = self.columns.index(name)
                row[at] = cell_of(kind, row[at], self, name)
                if begins:
                    self._link(name)
        self._append(row)

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
        if names_other(kind) and kind["params"]["table"].table is self:
            kind = kinds.type_of(kinds.plain(value))
        own = kinds.form_of(value)
        if before == kinds.ANY:
            if own or _looks_like_media(value):
                raise InvalidType(
                    f"{column} has values of any type: {value!r:.80} would not come back equal",
                    hint=kinds.way_out(value),
                )
            return before, own
        merged = assigned(before, kind, value) if name in self._declared else kinds.merge(before, kind)
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

    def _link(self, name: Any) -> None:
        """Make the cells of a key column know their table. Beyond the rows in memory, they are plain values."""
        at, kind = self.columns.index(name), self._types[name]
        for row in self._rows if isinstance(self._rows, list) else ():
            row[at] = cell_of(kind, row[at], self, name)

    # -- types that are declared --

    def _cast(self, name: Any, kind: Type, *, optional: bool) -> None:
        """Declare the type of a column. Raises InvalidType if a value in it doesn't fit; then nothing changes."""
        if name not in self.columns:
            raise NoColumn(f"the table has no column '{printable(str(name))}'", hint=f"there are {self.columns}")
        before, at = self._types[name], self.columns.index(name)
        if before["wb_type"] in KEYS and kind["wb_type"] != before["wb_type"]:
            raise InvalidType(f"column '{printable(str(name))}' holds {kinds.words(before)}, which can't be unset")
        form: str | None = None
        found = kind
        for row in self._rows:
            if kinds.is_null(row[at]):
                if not optional:
                    raise InvalidType(f"column '{printable(str(name))}' has no value in a row, and is not optional")
                continue
            own = kinds.form_of(row[at])
            fits = assigned(found, kinds.type_of(kinds.plain(row[at])), row[at])
            if fits is None or form not in (None, own) or (fits == kinds.ANY and own):
                raise InvalidType(f"Existing data {row[at]!r:.80} cannot be cast to {kinds.words(kind)}")
            found, form = fits, own
        self._types[name], self._forms[name], self._optional[name] = found, form, optional
        self._declared |= {name} if kind != kinds.UNKNOWN else set()
        self._link(name)

    def _set_key(self, name: Any, kind: Type) -> None:
        """Declare a column of keys. Raises WrongTable if the table has other keys of its own."""
        keys = [other for other, each in self._types.items() if each["wb_type"] == PRIMARY and other != name]
        if kind["wb_type"] == PRIMARY and keys:
            raise WrongTable(f"Cannot have multiple primary keys - {keys[0]} is already set as the primary key.")
        linked = kind.get("params", {}).get("table")
        if isinstance(linked, Linked) and linked.table is self:
            raise WrongTable("Cannot set a foreign table reference to same table.")
        self._cast(name, kind, optional=False)

    def types_of(
        self, rows: Any, known: dict[Any, Type] | None = None
    ) -> tuple[dict[Any, Type], dict[Any, str | None]]:
        """The types and forms of the columns, computed again because rows may have been changed in place.

        `known` are types to begin with; by default those that were declared. A type may be of values or None.
        """
        begun = {name: kind if self._stays(name) else kinds.UNKNOWN for name, kind in self._types.items()}
        types = begun if known is None else dict(known)
        forms: dict[Any, str | None] = dict.fromkeys(self.columns)
        for row in rows:
            if len(row) != len(self.columns):
                raise InvalidValue(f"a row has {len(row)} values for {len(self.columns)} columns")
            for name, value in zip(self.columns, row, strict=True):
                if type(value) is not USUAL.get(types[name]["wb_type"]):
                    types[name], forms[name] = self._checked(name, types[name], forms[name], value)
        for name, before in self._types.items():  # a file has more names of classes than cells
            if types[name]["wb_type"] == before["wb_type"] == "image-file":
                types[name] = kinds.merge(before, types[name]) or types[name]
        optional = {name: self._optional.get(name, True) for name in types}
        return {name: kinds.as_optional(kind) if optional[name] else kind for name, kind in types.items()}, forms

    def _stays(self, name: Any) -> bool:
        """Whether a column keeps its type, whatever is in it now."""
        kind = self._types[name]
        return kind == kinds.ANY or name in self._declared or kind["wb_type"] in KEYS

    def _replace(self, other: "TypedRows") -> None:
        """Take the columns and rows of another one."""
        self.columns, self._rows, self._optional = list(other.columns), other._rows, dict(other._optional)
        self._types, self._forms, self._declared = dict(other._types), dict(other._forms), set(other._declared)

    def _become(self, other: "TypedRows") -> None:
        """Take the columns and rows of another one, with its key as the key of this table."""
        self._replace(other)
        for name, kind in self._types.items():
            if kind["wb_type"] == PRIMARY:
                self._link(name)

    def _with_column(self, wider: "TypedRows", name: Any, values: list[Any]) -> None:
        """Add rows to `wider`, which has one column more than this table, of these rows and values."""
        if self.columns and len(values) != len(self._rows):
            problem = f"column '{printable(str(name))}' has {len(values)} values for {len(self._rows)} rows"
            raise WrongRows(problem)
        rows = self._rows if self.columns else [[] for _ in values]
        for known, kind in self._types.items():
            if self._stays(known):
                wider._types[known] = kind
        wider._declared |= self._declared
        own = {at for at, known in enumerate(self.columns) if self._types[known]["wb_type"] == PRIMARY}
        for row, value in zip(rows, values, strict=True):
            wider._add([*(kinds.plain(cell) if at in own else cell for at, cell in enumerate(row)), value])


def _looks_like_media(value: Any) -> bool:
    """Whether a list or dict would come back as an image or other media."""
    if not isinstance(value, list | dict):
        return False
    from artstore.api.media.kinds import names_media

    return names_media(value)


def _check_names(columns: list[Any]) -> None:
    for name in columns:
        if not isinstance(name, str | int) or isinstance(name, bool):
            raise WrongTable(f"a column's name must be text or a number, not {name!r:.80}")
        if any("\ud800" <= c <= "\udfff" for c in str(name)):
            raise InvalidValue(f"the column name {name!r:.80} is not valid Unicode")
    seen: set[str] = set()
    for name in map(str, columns):
        if name in seen:
            raise InvalidValue(f"two columns are called '{printable(name)}'")
        seen.add(name)


Computed = Callable[[int, dict[Any, Any]], dict[Any, Any]]
"""A function that computes the values of new columns of a row, from its number and the row as a dict."""
