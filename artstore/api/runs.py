"""A recorded run, for reading: what `Api().run()`, `logged_by()` and `used_by()` give."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from artstore.api.handles import opened
from artstore.api.listing import Artifacts
from artstore.domain.changes import Change
from artstore.domain.collection import Path, State, is_live
from artstore.domain.html import definition_rows, page
from artstore.domain.metadata import as_number
from artstore.domain.run import RunState
from artstore.errors import Conflict, InvalidType
from artstore.operations.finding.lookup import Version


class Recorded(Mapping[str, Any]):
    """Config or summary of a recorded run: for reading, so that no edit is lost silently."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._json_dict = dict(values)

    def __getitem__(self, key: str) -> Any:
        return self._json_dict[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._json_dict)

    def __len__(self) -> int:
        return len(self._json_dict)

    def __repr__(self) -> str:
        return repr(self._json_dict)


class RunRecord:
    """As it was when it was read; `load()` reads it anew."""

    def __init__(self, root: str, state: RunState) -> None:
        self._root = root
        self._state = state

    def load(self, force: bool = False) -> "RunRecord":
        self._state = opened(self._root).runs.find(self._state.path)
        return self

    @property
    def id(self) -> str:
        return self._state.path.id

    @property
    def name(self) -> str:
        return self._state.name

    @property
    def entity(self) -> str:
        return self._state.path.entity

    @property
    def project(self) -> str:
        return self._state.path.project

    @property
    def path(self) -> list[str]:
        return list(self._state.path)

    @property
    def state(self) -> str:
        """running, finished, failed, or crashed: running by its log, its process proved dead."""
        return opened(self._root).runs.status(self._state)

    @property
    def exit_code(self) -> int | None:
        return self._state.exit_code

    @property
    def config(self) -> "Recorded":
        return Recorded(self._state.config)

    @property
    def summary(self) -> "Recorded":
        return Recorded(self._state.summary)

    rawconfig = config
    summary_metrics = summary

    @property
    def url(self) -> str:
        return f"file://{self._root}/{self._state.path.folder}"

    @property
    def json_config(self) -> str:
        return json.dumps(self._state.config)

    @property
    def tags(self) -> list[str]:
        return list(self._state.tags)

    @property
    def notes(self) -> str | None:
        return self._state.notes

    @property
    def group(self) -> str | None:
        return self._state.group

    @property
    def job_type(self) -> str | None:
        return self._state.job_type

    @property
    def created_at(self) -> str:
        """ISO 8601, UTC"""
        return self._state.started

    @property
    def heartbeat_at(self) -> str:
        """When it last recorded anything."""
        return self._state.seen

    @property
    def user(self) -> str | None:
        return self._state.user

    @property
    def metadata(self) -> dict[str, Any]:
        """Where and how it ran: host, user, command line, git commit and dirty flag."""
        state = self._state
        return {"host": state.host, "username": state.user, "command": state.command, "git": state.git}

    @property
    def commit(self) -> str | None:
        return self._state.git["commit"] if self._state.git else None

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        use_cache: bool | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row that it logged, each with `_step`, `_runtime` and `_timestamp` (seconds), in order; with `keys` these
        alone, of the rows that have all of them. Steps from `min_step` up to, not including, `max_step`.
        """
        if isinstance(keys, str) or any(not isinstance(key, str) for key in keys or ()):
            raise InvalidType("keys is a list of the names of metrics")
        for row in opened(self._root).run_history(self._state):
            if row["_step"] < (min_step or 0) or (max_step is not None and row["_step"] >= max_step):
                continue
            row = {key: as_number(value) for key, value in row.items()}
            if keys is None:
                yield row
            elif all(key in row for key in keys):
                yield {key: row[key] for key in keys}

    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """At most `samples` rows, spread evenly over the run, as a DataFrame where pandas is installed (and `pandas` asked
        for), else as a list of dicts. `scan_history()` gives all.
        """
        wanted = None if keys is None else list(dict.fromkeys([x_axis, *keys]))
        rows = list(self.scan_history(wanted)) if stream == "default" else []
        if len(rows) > samples > 0:
            rows = [rows[i * len(rows) // samples] for i in range(samples)]
        if pandas:
            try:
                import pandas as pd
            except ImportError:
                return rows
            return pd.DataFrame.from_records(rows)
        return rows

    @property
    def last_history_step(self) -> int:
        """-1 when it logged nothing."""
        return max((row["_step"] for row in opened(self._root).run_history(self._state)), default=-1)

    lastHistoryStep = last_history_step  # W&B's name

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run, and with `delete_artifacts` the versions that it logged, but for those that an alias or link
        holds. Its name and edges stay on record.
        """
        repository = opened(self._root)
        repository.delete_run(self._state.path)
        if delete_artifacts:
            for artifact in self.logged_artifacts():
                try:
                    artifact.delete()
                except Conflict:
                    pass  # it is held

    def logged_artifacts(self, per_page: int | None = None) -> Artifacts:
        """Live versions that it logged, in the order in which it did."""
        return self._artifacts(self._state.logged)

    def used_artifacts(self, per_page: int | None = None) -> Artifacts:
        """Live versions that it used, in the order in which it did."""
        return self._artifacts(self._state.used)

    def _artifacts(self, edges: dict[str, Change]) -> Artifacts:
        states: dict[Path, State] = {}
        found = []
        for edge in edges.values():
            path = Path(edge["entity"], edge["project"], edge["name"])
            if path not in states:
                states[path] = opened(self._root).refs.read(path)
            version = states[path].versions.get(edge["id"])
            if is_live(version):
                found.append(Version(states[path], version))
        return Artifacts(self._root, found)

    @property
    def display_name(self) -> str:
        return self._state.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunRecord) and (self._root, self._state.path) == (other._root, other._state.path)

    def __hash__(self) -> int:
        return hash((self._root, self._state.path))

    def __repr__(self) -> str:
        return f"<Run {self._state.path} ({self.state})>"

    def _repr_html_(self) -> str:
        state = self._state
        rows = [("state", self.state), ("started", state.started), ("job type", state.job_type or "")]
        rows += [(f"config {key}", json.dumps(value)) for key, value in state.config.items()]
        rows += [(f"summary {key}", json.dumps(value)) for key, value in state.summary.items()]
        for word, edges in (("used", state.used), ("logged", state.logged)):
            rows += [(word, f"{edge['project']}/{edge['name']}:v{edge['number']}") for edge in edges.values()]
        return page(f"run {state.path}", definition_rows(rows))
