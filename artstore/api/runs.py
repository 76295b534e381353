"""A recorded run, for reading: what `Api().run()`, `logged_by()` and `used_by()` return."""

import json
import os
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Any, NamedTuple

from artstore.api.absent import SaysWhy
from artstore.api.edited import RecordedSummary, changed
from artstore.api.files import PathLike
from artstore.api.handles import opened, url_in
from artstore.api.history import HistoryScan
from artstore.api.listing import Artifacts
from artstore.api.recording import Recording, session, values_set
from artstore.api.runfiles import File, Files
from artstore.api.shown import Shown
from artstore.api.surroundings.console import LOG
from artstore.api.surroundings.samples import EVENTS
from artstore.api.texts import checked_keys, checked_text, checked_texts
from artstore.domain.changes import Change, new_change
from artstore.domain.collection import Path, State, is_live
from artstore.domain.html import definition_rows, page
from artstore.domain.names import shortened
from artstore.domain.run import RunState
from artstore.errors import Conflict, InvalidValue, NoEntry
from artstore.operations.finding.lookup import Version
from artstore.store.runfiles import file_at

_LINES = 1000
"""Lines of a page of console output."""


class ConsoleLine(NamedTuple):
    """A line of a run's console output. W&B's fields that aren't recorded are empty."""

    number: int
    content: str
    timestamp: datetime | None = None
    level: str = ""
    label: str = ""


class RunRecord(SaysWhy, Shown):
    """A recorded run, as it was when it was read. `load()` reads it again.

    Its config, name, notes and tags may be edited, which `update()` writes. Edits of the summary are written at once.

    Example:
        >>> run = wandb.Api().run("digits/train-1")
        >>> run.config["batch"] = 64
        >>> run.tags.append("baseline")
        >>> run.update()
        >>> run.summary.update({"accuracy": 0.9})
        >>> again = wandb.Api().run("digits/train-1")
        >>> again.config, again.tags, again.summary["accuracy"]
        ({'batch': 64, 'lr': 0.1}, ['baseline'], 0.9)
    """

    def __init__(self, root: str, state: RunState) -> None:
        self._root = root
        self._take(state)

    def _take(self, state: RunState) -> None:
        """Begin with what is recorded, without edits."""
        self._state = state
        self._summary: RecordedSummary | None = None
        self._config = deepcopy(state.parameters)
        self.tags = list(state.tags)
        """the run's tags, which may be edited"""
        self.name = state.name
        """the name shown to people, which may be assigned"""
        self.notes = state.notes
        """a text for people, or None, which may be assigned"""

    def load(self, force: bool = False) -> "RunRecord":
        """Read the run again. `force` is accepted as in W&B and changes nothing."""
        self._take(opened(self._root).runs.find(self._state.path))
        return self

    def update(self) -> None:
        """Write the edits of config, name, notes and tags. What others have changed meanwhile stays.

        Raises:
            InvalidType: If the name, the notes or a tag isn't text.
        """
        name, tags = checked_text("name", self.name), checked_texts(self.tags)
        notes = None if self.notes is None else checked_text("notes", self.notes)
        state = self._state
        edits = {
            key: value
            for key, value in (("name", name), ("notes", notes), ("tags", tags))
            if value != getattr(state, key)
        }
        new, gone = changed(state.parameters, self._config)

        def build(now: RunState) -> list[Change]:
            label = {"name": now.name, "notes": now.notes, "tags": now.tags} | edits
            return [*values_set(now, "config", new, gone), *([new_change("label", **label)] if edits else [])]

        now = opened(self._root).runs.find(state.path)
        opened(self._root).record(now, build)
        self._take(now)

    save = update

    def _with_media_stored(self, values: dict[str, Any]) -> dict[str, Any]:
        from artstore.api.media.logged import MediaInRun

        return MediaInRun(self._add_file, "summary", lambda _key, value, _place: value).recorded(values)

    def _write_summary(self, new: dict[str, Any], gone: list[str]) -> None:
        now = opened(self._root).runs.find(self._state.path)
        opened(self._root).record(now, lambda now: values_set(now, "summary", new, gone))

    def use_artifact(self, artifact: Any, use_as: str | None = None) -> Any:
        """Record that the run read a version.

        Args:
            artifact: An artifact of `Api().artifact(…)`.
            use_as: The role in which the run used it, for W&B's scripts.

        Returns:
            The artifact.

        Raises:
            Conflict: If it isn't a logged artifact.
        """
        self._logged("use_artifact", artifact).use_in(self._recording(), use_as=use_as)
        self._state = opened(self._root).runs.find(self._state.path)
        return artifact

    def log_artifact(self, artifact: Any, aliases: Any = None, tags: Any = None) -> Any:
        """Record that the run wrote a version, and give it more aliases and tags.

        Args:
            artifact: An artifact of `Api().artifact(…)`.
            aliases: Aliases to add.
            tags: Tags to add.

        Returns:
            The artifact.

        Raises:
            Conflict: If it isn't a logged artifact.
        """
        self._logged("log_artifact", artifact).log_to(self._recording(), aliases, tags)
        self._state = opened(self._root).runs.find(self._state.path)
        return artifact

    def _logged(self, verb: str, artifact: Any) -> Any:
        if not callable(getattr(artifact, "log_to", None)) or artifact.is_draft():
            raise Conflict(
                f"You must pass a wandb.Api().artifact() to {verb}", hint="log a draft with run.log_artifact()"
            )
        return artifact

    def _recording(self) -> Recording:
        return Recording(self._root, opened(self._root).runs.find(self._state.path), [])

    def wait_until_finished(self) -> None:
        """Wait until the run has ended, and read it again. Cost: a look at its log each second."""
        while self.state == "running":
            time.sleep(1)
            self.load()

    @property
    def id(self) -> str:
        """The run's id."""
        return self._state.path.id

    @property
    def entity(self) -> str:
        """The run's entity."""
        return self._state.path.entity

    username = entity
    storage_id = id
    sweep = sweep_name = None
    """always None: there are no sweeps"""

    @property
    def project(self) -> str:
        """The run's project."""
        return self._state.path.project

    @property
    def path(self) -> list[str]:
        """The entity, the project and the id."""
        return list(self._state.path)

    @property
    def state(self) -> str:
        """`running`, `finished`, `failed`, or `crashed` if it never ended and its process is known to be dead."""
        return opened(self._root).runs.status(self._state)

    @property
    def exit_code(self) -> int | None:
        """The exit code; None if the run never ended."""
        return self._state.exit_code

    @property
    def config(self) -> dict[str, Any]:
        """The hyperparameters. `update()` writes edits of this dict."""
        return self._config

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The hyperparameters, and below `_wandb` how the run's charts are drawn."""
        return dict(self._state.config)

    @property
    def summary(self) -> RecordedSummary:
        """The last value of each metric; edits are written. Of a run that hasn't ended, the history is read for it."""
        if self._summary is None:
            values = opened(self._root).run_summary(self._state)
            self._summary = RecordedSummary(values, self._write_summary, self._with_media_stored)
        return self._summary

    summary_metrics = summary

    @property
    def url(self) -> str:
        """A `file://` URL of the run's log."""
        return url_in(self._root, self._state.path.folder)

    @property
    def json_config(self) -> str:
        """The config as JSON text."""
        return json.dumps(self._state.parameters)

    @property
    def group(self) -> str | None:
        """The run's group, or None."""
        return self._state.group

    @property
    def job_type(self) -> str | None:
        """What kind of work the run did, or None."""
        return self._state.job_type

    @property
    def created_at(self) -> str:
        """When the run was started: ISO 8601, UTC."""
        return self._state.started

    @property
    def heartbeat_at(self) -> str:
        """When the run last recorded anything: ISO 8601, UTC."""
        return self._state.seen

    @property
    def user(self) -> str | None:
        """The user who ran it; None if that wasn't recorded."""
        return self._state.user

    @property
    def metadata(self) -> dict[str, Any]:
        """Where and how it ran: host, user, command line, git commit, and whether files differed from it."""
        state = self._state
        return {"host": state.host, "username": state.user, "command": state.command, "git": state.git}

    @property
    def commit(self) -> str | None:
        """The git commit of the code that ran, or None."""
        return self._state.git["commit"] if self._state.git else None

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        use_cache: bool | None = None,
    ) -> HistoryScan:
        """Go through the rows that it logged, in order. Each has `_step`, `_runtime` and `_timestamp` (seconds).

        Args:
            keys: Only `_step` and these metrics, from the rows that have all of them.
            page_size: Accepted as in W&B; it changes nothing.
            min_step: The first step.
            max_step: The step to stop before.
            use_cache: Accepted as in W&B; it changes nothing.

        Raises:
            WrongKeys: If `keys` isn't a list of names (a TypeError, and a CommError).

        Example:
            >>> run = wandb.Api().run("digits/train-1")
            >>> list(run.scan_history(keys=["loss"]))
            [{'_step': 0, 'loss': 0.5}, {'_step': 1, 'loss': 0.25}]
        """
        return HistoryScan(self._root, self._state, keys, min_step, max_step)

    beta_scan_history = scan_history

    def history(
        self,
        samples: int = 500,
        keys: list[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """Some rows that it logged, spread evenly over the run. `scan_history()` returns all.

        Args:
            samples: The most rows to return.
            keys: Only these metrics and the x axis, from the rows that have all of them.
            x_axis: The metric to add to `keys`.
            pandas: Return a DataFrame if pandas is installed, else a list of dicts.
            stream: `default`, or `system` for the samples of the machine: CPU, memory, disk, network, graphics cards.

        Example:
            >>> wandb.Api().run("digits/train-1").history(keys=["loss"], pandas=False)
            [{'_step': 0, 'loss': 0.5}, {'_step': 1, 'loss': 0.25}]
        """
        keys = checked_keys(keys)
        if stream == "system":
            wanted = None if keys is None else list(dict.fromkeys(["_timestamp", *keys]))
            rows = [row for row in self._samples() if wanted is None or all(key in row for key in wanted)]
            rows = rows if wanted is None else [{key: row[key] for key in wanted} for row in rows]
        else:
            wanted = None if keys is None else list(dict.fromkeys([x_axis, *keys]))
            scanned = self.scan_history(wanted) if stream == "default" else ()
            rows = [row if wanted is None else {key: row[key] for key in wanted} for row in scanned]
        if len(rows) > samples > 0:
            rows = [rows[i * len(rows) // samples] for i in range(samples)]
        if pandas:
            try:
                import pandas as pd
            except ImportError:
                return rows
            return pd.DataFrame.from_records(rows)
        return rows

    def _samples(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines(EVENTS)]

    def _lines(self, name: str) -> list[bytes]:
        """The lines of a file of the run, whole ones only: a process may be writing the last one."""
        try:
            with opened(self._root).open_run_file(self._state, name) as file:
                return [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        except NoEntry:
            return []

    @property
    def system_metrics(self) -> dict[str, Any]:
        """The last sample of the machine: `system.cpu` and others."""
        return next(iter(self._samples()[-1:]), {})

    def console_logs(self, *, per_page: int = _LINES, last: int | None = None) -> Iterator[ConsoleLine]:
        """Go through the run's console output, line by line.

        Args:
            per_page: Accepted as in W&B; it changes nothing.
            last: Only the last lines, this many.

        Raises:
            InvalidValue: If one of these is less than 1, or both are given.

        Example:
            >>> with wandb.init(project="digits", id="says", settings=wandb.Settings(console="wrap")) as run:
            ...     run.write_logs("epoch 1")
            >>> [line.content for line in wandb.Api().run("digits/says").console_logs()]
            ['epoch 1']
        """
        if per_page < 1 or (last is not None and (last < 1 or per_page != _LINES)):
            raise InvalidValue(f"console_logs() takes per_page or last, 1 or more, not {per_page} and {last}")
        lines = enumerate(line.decode("utf-8", "replace").rstrip("\n") for line in self._lines(LOG))
        return (ConsoleLine(number, content) for number, content in list(lines)[-last if last else 0 :])

    def files(self, names: list[str] | None = None, pattern: str | None = None, per_page: int = 50) -> Files:
        """List the run's files, in the order of their paths.

        Args:
            names: Only the files with these paths.
            pattern: Only the files whose paths match a pattern of SQL's LIKE: `%.json`.
            per_page: Accepted as in W&B; it changes nothing.

        Raises:
            InvalidValue: If names and a pattern are given.

        Example:
            >>> [file.name for file in wandb.Api().run("digits/train-1").files(pattern="notes%")]
            ['notes.txt']
        """
        return Files(self._root, self._state, names, pattern)

    def file(self, name: str) -> File:
        """Get one of the run's files by its path.

        Raises:
            NoEntry: If there is no such file.

        Example:
            >>> wandb.Api().run("digits/train-1").file("notes.txt").size
            19
        """
        repository = opened(self._root)
        return File(self._root, self._state, file_at(repository.objects, repository.runs, self._state, name))

    def upload_file(self, path: PathLike, root: PathLike = ".") -> File:
        """Add a local file to the run, under its path relative to `root`.

        Raises:
            InvalidValue: If it isn't below `root`, or can't be read.

        Example:
            >>> import pathlib
            >>> _ = pathlib.Path("report.md").write_text("It went well.")
            >>> wandb.Api().run("digits/train-1").upload_file("report.md").name
            'report.md'
        """
        local = os.path.abspath(os.fspath(path))
        name = os.path.relpath(local, os.path.abspath(os.fspath(root)))
        self._add_file(name, local)
        return self.file(name)

    def _add_file(self, path: str, content: bytes | str) -> None:
        """Add a file, given by its bytes or as a local file."""
        if (active := session.recording_of(self._root, self._state.path)) is not None:
            active.add_file(path, content)
        else:
            opened(self._root).add_run_file(self._state, path, content)

    @property
    def last_history_step(self) -> int:
        """The last step; -1 if it logged nothing."""
        return max((row["_step"] for row in opened(self._root).run_history(self._state)), default=-1)

    lastHistoryStep = last_history_step  # W&B's name

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete the run. Its name, and which versions it used and logged, stay on record.

        Args:
            delete_artifacts: Delete the versions that it logged, except those that an alias or link holds.
        """
        repository = opened(self._root)
        repository.delete_run(self._state.path)
        if delete_artifacts:
            for artifact in self.logged_artifacts():
                try:
                    repository.delete(f"{artifact.collection.id}@{artifact.id}")
                except Conflict:
                    pass  # an alias or link holds it

    def logged_artifacts(self, per_page: int | None = None) -> Artifacts:
        """List the live versions that it logged, in the order in which it did. `per_page` changes nothing."""
        return self._artifacts(self._state.logged)

    def used_artifacts(self, per_page: int | None = None) -> Artifacts:
        """List the live versions that it used, in the order in which it did. `per_page` changes nothing."""
        return self._artifacts(self._state.used)

    def _artifacts(self, edges: dict[str, Change]) -> Artifacts:
        """The live versions of these edges."""
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
        """The name shown to people, which may be assigned."""
        return self.name

    @display_name.setter
    def display_name(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RunRecord) and (self._root, self._state.path) == (other._root, other._state.path)

    def __hash__(self) -> int:
        return hash((self._root, self._state.path))

    def __repr__(self) -> str:
        return f"<Run {self._state.path} ({self.state})>"

    def _repr_html_(self) -> str:
        state = self._state
        rows = [("state", self.state), ("started", state.started), ("job type", state.job_type or "")]
        rows += [(f"config {key}", json.dumps(value)) for key, value in state.parameters.items()]
        rows += [(f"summary {key}", json.dumps(value)) for key, value in self.summary.items()]
        for word, edges in (("used", state.used), ("logged", state.logged)):
            named = ((shortened(Path.named_by(edge), (self.entity, "")), edge["number"]) for edge in edges.values())
            rows += [(word, f"{name}:v{number}") for name, number in named]
        return page(f"run {state.path}", definition_rows(rows))
