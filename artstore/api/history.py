"""The history of a recorded run, row by row."""

from collections.abc import Iterator
from typing import Any, Self

from artstore.api.handles import opened
from artstore.api.texts import checked_keys
from artstore.domain.metadata import as_numbers
from artstore.domain.run import RunState

Row = dict[str, Any]


class HistoryScan(Iterator[Row]):
    """The rows that a run had logged, in order. Each loop over it begins with the first one."""

    def __init__(
        self, root: str, state: RunState, keys: list[str] | None, min_step: int | None, max_step: int | None
    ) -> None:
        self._root, self._state = root, state
        self._keys = checked_keys(keys)
        self._from, self._until = min_step or 0, max_step
        self._rows = self._read()

    def _read(self) -> Iterator[Row]:
        keys = self._keys and list(dict.fromkeys(["_step", *self._keys]))
        for row in opened(self._root).run_history(self._state):
            if row["_step"] < self._from or (self._until is not None and row["_step"] >= self._until):
                continue
            row = as_numbers(row)
            if not keys:
                yield row
            elif all(key in row for key in keys):
                yield {key: row[key] for key in keys}

    def __iter__(self) -> Self:
        self._rows = self._read()
        return self

    def __next__(self) -> Row:
        return next(self._rows)
