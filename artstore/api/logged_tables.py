"""Tables that a run logs. Each becomes a version of an artifact, a file of the run, and a value in its history.

The artifact of a table that is logged as a whole is `run-<id>-<key>`. That of one that is logged bit by bit
(`log_mode="INCREMENTAL"`) is `run-<id>-incr-<key>`: each of its versions has the files of all increments so far, named
`<number>-<milliseconds>.<key>.table.json`. Only the file of the newest increment is new.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from artstore.api.artifact import Artifact
from artstore.api.media.content import StoredFile
from artstore.api.media.logged import RunPlace, in_name
from artstore.api.tables import frames
from artstore.api.tables.evaluated import EvalTable
from artstore.api.tables.file import IMMUTABLE, INCREMENTAL
from artstore.api.tables.joined import TableGroup
from artstore.api.tables.naming import SUFFIX
from artstore.api.tables.refusals import WrongRows
from artstore.api.tables.table import Table
from artstore.backends.callers import warn_caller
from artstore.domain.names import name_from
from artstore.errors import InvalidValue

_BIT_BY_BIT = "incremental-table-file"
"""The kind of value that a run's history has of a table that is logged bit by bit."""


class Recorded(NamedTuple):
    """What a run recorded of a table when it logged it."""

    value: dict[str, Any]
    """in its history"""
    rows: int
    """how many rows the table had"""


class RunTables:
    """Logs the tables of one run."""

    def __init__(self, path: str, log_artifact: Callable[[Artifact], Artifact], summary: Callable[[str], Any]) -> None:
        """`path` is the run's, `log_artifact` logs an artifact there, and `summary` gets a value of its summary."""
        self._path, self._log_artifact, self._summary = path, log_artifact, summary

    def logged(self, key: str, value: Any, place: RunPlace) -> Any:
        """Log a table or a data frame, and return what is recorded of it. Any other value is returned as it is.

        A table that is as it was when the run logged it under this key isn't stored again.
        """
        if frames.is_frame(value):
            try:
                value = Table(dataframe=value)
            except InvalidValue as error:
                warn_caller(f"'{key}' can't be logged as a table: {error}")
        if isinstance(value, TableGroup):
            return self._group(key, value)
        if not isinstance(value, Table):
            return value
        known: Recorded | None = value.recorded.get((self._path, key))
        if known is not None and (value.log_mode == IMMUTABLE or known.rows == len(value)):
            if known.rows != len(value):
                value.warn_of_change()
            return known.value
        roles = value.roles() if isinstance(value, EvalTable) else {}
        if value.log_mode == INCREMENTAL:
            told = self._increment(key, value, known, place)
        else:
            artifact = Artifact.of_reserved_type(name_from(f"run-{self._id}-{key}"), "run_table")
            told = self._stored(artifact, value, in_name(key), place)
        told |= {"ncols": len(value.columns), "nrows": len(value), "log_mode": value.log_mode, **roles}
        value.recorded[self._path, key] = Recorded(told, len(value))
        return told

    @property
    def _id(self) -> str:
        return self._path.rpartition("/")[2]

    def _increment(self, key: str, table: Table, known: Recorded | None, place: RunPlace) -> dict[str, Any]:
        """Log the rows that are new since the table was last logged."""
        if any(path != self._path for path, _ in table.recorded):
            raise WrongRows("An incremental Table can only be logged to one Run.")
        last = self._summary(key) if known is None else known.value
        before = last.get("increment_num") if isinstance(last, dict) and last.get("_type") == _BIT_BY_BIT else None
        number = before + 1 if isinstance(before, int) else 0
        artifact = Artifact.of_reserved_type(
            name_from(f"run-{self._id}-incr-{key}"), "wandb-run-incremental-table", incremental=True
        )
        name = f"{number}-{time.time_ns() // 1_000_000}.{in_name(key)}"
        told = self._stored(artifact, table.part(known.rows if known else 0, number), name, place)
        return told | {"_type": _BIT_BY_BIT, "increment_num": number}

    def _group(self, key: str, group: TableGroup) -> dict[str, Any]:
        artifact = Artifact.of_reserved_type(name_from(f"run-{self._id}-{key}"), "run_table")
        path = artifact.add(group, in_name(key)).path
        self._log_artifact(artifact)
        return {"_type": group.type_name, "artifact_path": artifact.get_entry(path).ref_url()}

    def _stored(self, artifact: Artifact, table: Table, name: str, place: RunPlace) -> dict[str, Any]:
        path = artifact.add(table, name).path
        self._log_artifact(artifact)
        entry = artifact.get_entry(path)
        content = StoredFile(entry.open, path, None, lambda: entry)
        return {"_type": "table-file", **place.store(content, "media/table", SUFFIX), "artifact_path": entry.ref_url()}
