"""MLflow's store in a SQLite database (`mlflow.db`), with the artifacts in folders beside it."""

import os
import re
import sqlite3
from typing import Any
from urllib.parse import quote

from artstore.adapters.confining import Source
from artstore.adapters.mlflow_files import FAILED, FINISHED, KILLED, STORED_IN, ModelVersion, Registered, StoredRun
from artstore.domain.names import printable
from artstore.errors import Damage, NotFound

_STATUS = {"FINISHED": FINISHED, "FAILED": FAILED, "KILLED": KILLED}
_LONGEST = 16 << 20
_MOST_STEPS = 3_000_000_000
"""How many of SQLite's steps an import may take, half a minute: pages of a forged file can name one another."""
_EACH = 1_000_000


class DatabaseStore:
    """A database of MLflow's. Nothing is written, no function or view of it runs. A key is an id or a name."""

    def __init__(self, path: str, source: Source) -> None:
        """Open a database. Raises Damage if it isn't one, or has not MLflow's tables."""
        self.source = source
        self._path = path
        known, before = source.open(path), _open_files()
        self._database = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)
        self._steps = 0
        self._database.set_progress_handler(self._count, _EACH)
        self._database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
        try:
            self._database.execute("PRAGMA trusted_schema=OFF")
            self._database.execute("PRAGMA cell_size_check=ON")
            kinds = "SELECT name, type, sql FROM sqlite_master"
            self._tables = {
                name for name, kind, sql in self._database.execute(kinds) if kind == "table" and _plain(sql)
            }
            self._check_opened(known, _open_files() - before)
        except sqlite3.Error as error:
            raise Damage(f"{printable(path)} can't be read as a database: {error}") from error
        finally:
            os.close(known)
        if not {"experiments", "runs"} <= self._tables:
            raise NotFound(f"{printable(path)} has no tables of MLflow's")

    def _check_opened(self, known: int, opened: set[tuple[int, int, int]]) -> None:
        """Raise Damage unless SQLite, which takes a path, opened the database that is known to be below the folder."""
        status = os.fstat(known)
        if opened and (status.st_dev, status.st_ino) not in {(device, number) for _, device, number in opened}:
            self._database.close()
            raise Damage(f"{printable(self._path)} was changed while it was opened")

    def close(self) -> None:
        self._database.close()

    def experiments(self) -> list[str]:
        return [str(id) for (id,) in self._rows("SELECT experiment_id FROM experiments ORDER BY experiment_id")]

    def experiment(self, key: str) -> tuple[str, bool]:
        name, stage = self._row("SELECT name, lifecycle_stage FROM experiments WHERE experiment_id = ?", key)
        return str(name), stage == "deleted"

    def runs(self, experiment: str) -> list[str]:
        asked = "SELECT run_uuid FROM runs WHERE experiment_id = ? ORDER BY start_time, run_uuid"
        return [str(id) for (id,) in self._rows(asked, experiment)]

    def run(self, experiment: str, id: str) -> StoredRun:
        fields = "name, lifecycle_stage, status, start_time, end_time, user_id, artifact_uri"
        name, stage, status, start, end, user, uri = self._row(f"SELECT {fields} FROM runs WHERE run_uuid = ?", id)
        asked = "SELECT step, timestamp, key, value, is_nan FROM metrics WHERE run_uuid = ?"
        points = [
            (int(step), int(moment), str(key), float("nan") if is_nan else float(value))
            for step, moment, key, value, is_nan in self._rows(asked, id)
        ]
        return StoredRun(
            name=name, deleted=stage == "deleted", status=_STATUS.get(status, 1), start=int(start),
            end=int(end) if end is not None else None, user=user or None,
            tags=self._texts("SELECT key, value FROM tags WHERE run_uuid = ?", id),
            params=self._texts("SELECT key, value FROM params WHERE run_uuid = ?", id), points=points,
            artifacts=self._artifacts(experiment, uri), artifact_uri=str(uri),
        )  # fmt: skip

    def _artifacts(self, experiment: str, uri: Any) -> str | None:
        """A run's folder is made with its first artifact. So if that of the experiment is here, the run has none."""
        (above,) = self._row("SELECT artifact_location FROM experiments WHERE experiment_id = ?", experiment)
        return self._located(uri) or ("" if self._located(above) else None)

    def models(self, experiment: str) -> list[str]:
        asked = "SELECT model_id FROM logged_models WHERE experiment_id = ? AND lifecycle_stage = 'active'"
        return sorted(str(id) for (id,) in self._rows(asked, experiment))

    def model(self, experiment: str, id: str) -> tuple[str, str]:
        name, place = self._row("SELECT name, artifact_location FROM logged_models WHERE model_id = ?", id)
        if (folder := self._located(place)) is None:
            raise NotFound(f"its files are not in this store, but at {place}")
        return str(name or id), folder

    def registry(self) -> list[str]:
        return sorted(str(name) for (name,) in self._rows("SELECT name FROM registered_models"))

    def registered(self, key: str) -> Registered:
        (description,) = self._row("SELECT description FROM registered_models WHERE name = ?", key)
        aliases = self._texts("SELECT alias, version FROM registered_model_aliases WHERE name = ?", key)
        numbers = self._rows(
            "SELECT version FROM model_versions WHERE name = ? AND current_stage <> ?", key, "Deleted_Internal"
        )
        return Registered(key, description, aliases, sorted(int(number) for (number,) in numbers))

    def version(self, key: str, number: int) -> ModelVersion:
        fields = "source, storage_location, description, current_stage"
        asked = f"SELECT {fields} FROM model_versions WHERE name = ? AND version = ?"
        source, place, description, stage = self._row(asked, key, number)
        tags = self._texts("SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", key, number)
        stage = None if stage in (None, "None") else str(stage)
        return ModelVersion(str(place or source or ""), description, stage, tags)

    def files_of(self, version: ModelVersion) -> tuple[str, str] | None:
        kind, _, inner = version.source.partition(":/")
        id, _, path = inner.partition("/")
        if kind == "runs":
            uri, experiment = self._row("SELECT artifact_uri, experiment_id FROM runs WHERE run_uuid = ?", id)
            folder = self._located(f"{uri}/{path}")
        elif kind == "models":
            asked = "SELECT artifact_location, experiment_id FROM logged_models WHERE model_id = ?"
            place, experiment = self._row(asked, id)
            folder = self._located(place)
        else:
            folder, experiment = self._located(version.source), None
            experiment = self._maker(folder)
        return None if folder is None else (folder, self.experiment(str(experiment))[0])

    def _maker(self, folder: str | None) -> str:
        """The experiment whose artifacts are in a folder."""
        for id, place in self._rows("SELECT experiment_id, artifact_location FROM experiments"):
            if folder is not None and (above := self._located(place)) and f"{folder}/".startswith(f"{above}/"):
                return str(id)
        return "0"

    def _located(self, uri: Any) -> str | None:
        return self.source.located(str(uri), STORED_IN)

    def _texts(self, asked: str, *values: Any) -> dict[str, str]:
        return {str(key): "" if text is None else str(text) for key, text in self._rows(asked, *values)}

    def _row(self, asked: str, *values: Any) -> tuple[Any, ...]:
        for row in self._rows(asked, *values):
            return row
        raise NotFound(f"'{printable(str(values[0]))}' is not in {printable(self._path)}")

    def _rows(self, asked: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of a table. There are none if this version of MLflow doesn't have the table."""
        if asked.partition(" FROM ")[2].split()[0] not in self._tables:
            return []
        try:
            return self._database.execute(asked, values).fetchall()
        except sqlite3.Error as error:
            raise Damage(f"{printable(self._path)} can't be read: {error}") from error

    def _count(self) -> bool:
        """Whether SQLite has to stop."""
        self._steps += _EACH
        return self._steps > _MOST_STEPS


def _open_files() -> set[tuple[int, int, int]]:
    """The descriptors of this process, each with its file's device and number, where the system tells."""
    found = set()
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else ():
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # closed meanwhile
        found.add((int(name), status.st_dev, status.st_ino))
    return found


def _plain(sql: str | None) -> bool:
    """Whether a table only holds what was stored: not a virtual one, and without computed columns."""
    return re.match(r"CREATE TABLE\b(?!.*\b(AS|GENERATED)\b)", sql or "", re.IGNORECASE | re.DOTALL) is not None
