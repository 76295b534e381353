"""An active run: its names, config, summary and end, as they are recorded."""

import atexit
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TextIO

from artstore.api.files import PathLike
from artstore.api.handles import url_in
from artstore.api.messages import say_ended, say_packing
from artstore.api.metric import DefinedMetric
from artstore.api.recording import Recording, session
from artstore.api.resuming import forget_run
from artstore.api.runfiles import named_run, restored
from artstore.api.saved import SavedFiles
from artstore.api.settings import Settings
from artstore.api.shown import Shown
from artstore.api.steps import Steps
from artstore.api.surroundings.recorder import Surroundings
from artstore.api.texts import checked_text, checked_texts
from artstore.api.values import ArtifactValues, Values, read_only
from artstore.backends.callers import warn_caller
from artstore.domain.summaries import Summaries, check_metric, kept_of
from artstore.errors import NoActiveRun
from artstore.operations.restoring.downloads import kept_out_of_git
from artstore.store.settings import run_folder

if TYPE_CHECKING:
    from artstore.api.background import BackgroundSaves
    from artstore.api.watching import Watches


class ActiveRun(Shown):
    """A run that is being recorded, without the artifacts that it uses and logs."""

    def __init__(
        self,
        run: Recording,
        *,
        used: ArtifactValues,
        stored: Callable[[dict[str, Any]], dict[str, Any]],
        added: Callable[[dict[str, Any]], None],
        allow_val_change: bool,
        disabled: bool,
        start: str | None,
        settings: Settings,
        recorder: Surroundings | None,
    ) -> None:
        """Wrap a recording.

        Args:
            run: The recording. That of a disabled run is in a temporary repository.
            used: Finds and uses artifacts that are values of the config.
            stored: Stores tables and media that are values of the summary, and returns what is recorded for all.
            added: Adds values to the step that is current, without ending it.
            allow_val_change: Let config values be changed.
            disabled: Whether nothing is left of the run when this process ends.
            start: The folder below which the run's own folder is made.
            settings: The settings that were chosen.
            recorder: Records the run's surroundings until it ends.
        """
        self._recording = run
        self._path = path = run.path
        self._disabled, self._start_folder = disabled, start
        self._files, self._recorder = SavedFiles(run.add_file), recorder
        self.settings = self._settings = settings
        """the settings that were chosen when it was started"""
        self._saves: BackgroundSaves | None = None
        self._added = added
        self._watches: Watches | None = None
        self._ended = False
        self._pid = os.getpid()
        self._error = _last_error()
        self._flushed = time.monotonic()
        state = run.state()
        self._name, self._notes, self._tags = state.name or path.id, state.notes, state.tags
        self._start = state.started
        self.group = state.group
        """the group, for runs that belong together"""
        self.job_type = state.job_type
        """what kind of work the run does"""
        self.resumed = state.number > 1
        """whether the run existed before it was started here"""
        self._steps, self._summaries = Steps(run, state), Summaries()
        changed, fixed = (lambda set, gone: self._write("config", set, gone)), not allow_val_change
        self._config = Values(state.parameters, changed, fixed=fixed, used=used)
        self._unwritten: dict[str, Any] = {}
        self._summary = Values(state.summary, self._set_summary, fixed=False, stored=stored)

    def _write(self, kind: str, values: dict[str, Any], removed: list[str]) -> None:
        self._refuse_ended(kind)
        self._recording.set_values(kind, values, removed)

    def _set_summary(self, values: dict[str, Any], removed: list[str]) -> None:
        self._refuse_ended("summary")
        self._unwritten.update(values)
        for key in removed:
            self._unwritten.pop(key, None)
            self._write("summary", {}, removed)

    @property
    def id(self) -> str:
        """The run's id."""
        return self._path.id

    @property
    def entity(self) -> str:
        """The run's entity."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The run's project."""
        return self._path.project

    @property
    def path(self) -> str:
        """The full name: `entity/project/id`."""
        return str(self._path)

    _attach_id = path

    @property
    def name(self) -> str:
        """The name shown to people, which may be assigned."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._refuse_ended("a name")
        self._name = checked_text("name", name)
        self._write_label()

    @property
    def notes(self) -> str | None:
        """A text for people, which may be assigned."""
        return self._notes

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self._refuse_ended("notes")
        self._notes = None if notes is None else checked_text("notes", notes)
        self._write_label()

    @property
    def tags(self) -> tuple[str, ...]:
        """The run's tags, which may be assigned."""
        return tuple(self._tags)

    @tags.setter
    def tags(self, tags: tuple[str, ...] | list[str]) -> None:
        self._refuse_ended("tags")
        self._tags = checked_texts(tags)
        self._write_label()

    def _write_label(self) -> None:
        self._recording.label(self._name, self._notes, self._tags)

    @property
    def config(self) -> Values:
        """The hyperparameters. Each change is written at once."""
        return self._config

    @property
    def config_static(self) -> Values:
        """The hyperparameters as they are now, which can't be changed."""
        return Values(dict(self._config), read_only, fixed=False)

    @property
    def summary(self) -> Values:
        """The last value of each metric. Tables and media that are assigned are stored, as `log` does.

        It is written every ten seconds of logging, with each artifact, and at the end.
        """
        return self._summary

    @property
    def dir(self) -> str:
        """A folder for the run's own files, made when it is first asked for. They are saved when the run ends.

        It is `artifacts/run-<id>`, below the folder of `init(dir=…)` or WANDB_DIR if there is one.
        """
        if self._files.folder is None:
            folder = os.path.abspath(run_folder(self.id, self._start_folder))
            if self._disabled:
                folder = os.path.join(os.path.dirname(self._recording.root), f"run-{self.id}")
            with kept_out_of_git(os.path.dirname(folder)):
                os.makedirs(folder, exist_ok=True)
            self._files.folder = folder
        return self._files.folder

    @property
    def url(self) -> str | None:
        """A `file://` URL of the run's log, whose last part is the run's id; None for a disabled run."""
        return None if self._disabled else url_in(self._recording.root, self._path.folder)

    def get_url(self) -> str | None:
        """A `file://` URL of the run's log; None for a disabled run."""
        return self.url

    @property
    def project_url(self) -> str | None:
        """A `file://` URL of the folder with the logs of the project's runs; None for a disabled run."""
        url = self.url
        return None if url is None else url.rpartition("/")[0]

    sweep_url: None = None
    """always None: there are no sweeps"""

    @property
    def sync_dir(self) -> str:
        """The folder of the run's log."""
        return self._recording.folder

    @property
    def step(self) -> int:
        """The number of the current step."""
        return self._steps.current

    @property
    def starting_step(self) -> int:
        """The number of the first step that was logged since it was started here: 0, unless it was continued."""
        return self._steps.first

    @property
    def sweep_id(self) -> str | None:
        """The sweep's id, if the settings name one; there are no sweeps here."""
        return None if self.settings.sweep_id is None else str(self.settings.sweep_id)

    @property
    def start_time(self) -> float:
        """When the run was first started: seconds since 1970."""
        return datetime.fromisoformat(self._start).timestamp()

    @property
    def disabled(self) -> bool:
        """Whether nothing is left of the run when this process ends."""
        return self._disabled

    @property
    def offline(self) -> bool:
        """Always True: there is no server."""
        return True

    @property
    def is_of_this_process(self) -> bool:
        """Whether this process started it, and not one that was forked into it."""
        return os.getpid() == self._pid

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        written = dict(self._unwritten)
        self._write("summary", written, [])
        for key, value in written.items():  # a value that was set meanwhile waits for the next flush
            if self._unwritten.get(key) is value:
                self._unwritten.pop(key, None)

    def define_metric(
        self,
        name: str,
        step_metric: str | DefinedMetric | None = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> DefinedMetric:
        """Choose what the summary keeps of a metric, instead of its last value.

        Args:
            name: The metric, or the beginning of several and a star, such as `val/*`. A metric in a dict is named with
                a dot, such as `val.loss`.
            step_metric: Another metric, such as `epoch`, over which pages draw this one instead of over the steps.
            step_sync: False leaves out of a step the last value of `step_metric`, if the step has none of its own.
            hidden: Pages draw no chart of the metric.
            summary: One or several of `min`, `max`, `mean`, `first` and `last`, separated by commas, or `none`. The
                summary is then a dict of these. `best` means `max` or `min`, as `goal` says.
            goal: `maximize` or `minimize`, for `best`.
            overwrite: Accepted as in W&B; it changes nothing.

        Returns:
            The metric, which may be the `step_metric` of others.

        Raises:
            InvalidValue: If `summary` or `goal` has another word, or `name` is empty or has a star in its middle.
            InvalidType: If one of them isn't text.
            NoActiveRun: If the run has ended.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     _ = run.define_metric("loss", summary="min,last")
            ...     for loss in (0.5, 0.25, 0.3):
            ...         run.log({"loss": loss})
            >>> run.summary["loss"]
            {'min': 0.25, 'last': 0.3}
        """
        self._refuse_ended("metrics")
        if isinstance(step_metric, DefinedMetric):
            step_metric = step_metric.name
        texts = {"step_metric": step_metric, "summary": summary, "goal": goal}
        check_metric(name, texts, {"step_sync": step_sync, "hidden": hidden, "overwrite": overwrite})
        if step_metric is not None or hidden is not None:
            self._recording.draw_metric(name, step_metric, hidden)
        step_sync = step_metric is not None if step_sync is None else step_sync
        if step_metric is not None and step_sync:
            self._summaries.accompany(name, step_metric)
        if summary == "best":
            summary = "max" if goal == "maximize" else "min"
        kept = None if summary is None or summary == "copy" else kept_of(summary)
        if kept is not None:
            self._summaries.define(name, kept)
            self._recording.define(name, kept)
        return DefinedMetric(name, step_metric, step_sync, hidden, None if kept is None else tuple(kept))

    def _refuse_ended(self, verb: str) -> None:
        if self._ended:
            raise NoActiveRun(
                f"run {self.id} is finished: it can't record {verb}", hint=f"init(id='{self.id}') continues it"
            )

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: finished if the exit code is 0 or None, else failed. Later calls change nothing.

        It waits for saves in the background, and raises the error of one whose result nobody asked for. In a signal
        handler that interrupted a call of the run it doesn't wait: these saves go on when the handler has returned.
        A few lines on standard error say what came of it, unless `quiet` or WANDB_SILENT is set.
        """
        if self._ended:
            return
        if not self.is_of_this_process:  # a forked child leaves its parent's run alone
            session.end(self)
            return
        self.unwatch()
        unheard = None
        if self._saves is not None and not (self._recording.is_interrupted or self._steps.is_interrupted):
            unheard = self._saves.wait()  # else it would wait for a save that waits for the call which was interrupted
        if self._recorder is not None:
            self._recorder.stop()
        self._files.save_rest()
        with self._steps.locked():
            self._steps.write()
            summary = dict(self._unwritten)
        self._recording.finish(int(exit_code or 0), summary)
        self._ended = True
        if self.settings.resume == "auto" and not exit_code:
            forget_run(self._start_folder, self.id)
        if not self._disabled:
            say_ended(self._recording.state(), self._recording.root, self.settings, quiet=quiet)
            say_packing(0 if exit_code else self._recording.repository.pack_later(), self.settings, quiet=quiet)
        atexit.unregister(self.end_at_exit)
        session.end(self)
        if unheard is not None:
            raise unheard

    def end_at_exit(self) -> None:
        """End the run as the interpreter ends.

        It failed if an exception was printed since the run was started, or if `sys.exit` got another code than 0.
        """
        self.finish(session.exit_code or (0 if _last_error() is self._error else 1))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        ended_well = error is None or (isinstance(error, SystemExit) and not error.code)
        self.finish(0 if ended_well else 1)

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> list[Any]:
        """Log histograms of the gradients and parameters of PyTorch models while they train, until the run ends.

        They are `gradients/NAME` after backward passes and `parameters/NAME` after forward passes, in the step that
        is current. A copy of a model isn't watched.

        Args:
            models: A `torch.nn.Module`, or a list of them.
            criterion: Accepted as in W&B; it changes nothing.
            log: `gradients`, `parameters`, `all`, or None for nothing.
            log_freq: The number of passes from one log to the next.
            idx: The number of the first model, which makes its keys unique; by default how many are watched already.
            log_graph: Warns: no graphs of models are drawn.

        Returns:
            An empty list: no graphs are drawn.

        Raises:
            InvalidType: If it isn't a PyTorch model.
            InvalidValue: If `log` is another word.
        """
        self._refuse_ended("watch")
        if log_graph:
            warn_caller("watch(log_graph=True) changes nothing: artstore draws no graphs of models")
        if not self._disabled:
            from artstore.api.watching import Watches

            self._watches = self._watches or Watches(self._added)
            self._watches.watch(models, log, log_freq, idx)
        return []

    def unwatch(self, models: Any = None) -> None:
        """Stop logging the gradients and parameters of these models, or of all."""
        if self._watches is not None:
            self._watches.unwatch(models)

    def mark_preempting(self, *_: Any, **__: Any) -> None:
        """Accepted as in W&B; it changes nothing."""
        self._refuse_ended("anything")

    status = _label = mark_preempting

    def pin_config_keys(self, keys: Sequence[str] = ()) -> None:
        """Accepted as in W&B: pages list all config values."""

    def write_logs(self, text: str) -> None:
        """Add text to the run's console output, without printing it. After the run's end it changes nothing."""
        if self._recorder is not None and not self._ended:
            self._recorder.write(text if text.endswith("\n") else f"{text}\n")

    def alert(self, title: str, text: str = "", *_: Any, **__: Any) -> None:
        """Only warns: artstore sends no alerts."""
        self._refuse_ended("an alert")
        warn_caller(f"{title}: {text} (artstore sends no alerts)")

    def save(
        self,
        glob_str: PathLike,
        base_path: PathLike | None = None,
        policy: str = "live",
        glob: bool = True,
    ) -> list[str]:
        """Save local files with the run. `Api().run(…).file(…)` reads them back.

        Args:
            glob_str: A path, or a glob pattern, which is expanded now. Of a folder, all files are saved.
            base_path: The folder to which the files' paths in the run are relative; by default the working folder, or
                for an absolute path the folder above the file's own.
            policy: `now` saves the files as they are now. `live` does too, and saves those that have changed when the
                run ends. `end` saves them only when the run ends.
            glob: False to take `glob_str` as a path whose `*`, `?` and `[` mean themselves.

        Returns:
            The absolute paths of the files.

        Raises:
            InvalidValue: If the files aren't below `base_path`, or the policy is another one (also a ValueError).
            NoActiveRun: If the run has ended.

        Example:
            >>> import pathlib
            >>> _ = pathlib.Path("notes.md").write_text("Blurred scans are left out.")
            >>> with wandb.init(project="digits", id="cleaned") as run:
            ...     _ = run.save("notes.md")
            >>> [file.name for file in wandb.Api().run("digits/cleaned").files(["notes.md"])]
            ['notes.md']
        """
        self._refuse_ended("save")
        return self._files.save(glob_str, base_path, policy, glob=glob)

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: PathLike | None = None
    ) -> TextIO | None:
        """Restore a file that a run saved. A file that is there already is kept.

        Args:
            name: The file's path in the run.
            run_path: The run, `[[entity/]project/]id`; by default this one.
            replace: Replace a file that is there.
            root: The folder; by default this run's `dir`.

        Returns:
            The file, opened as text. None if the run has no such file.

        Raises:
            NotFound: If there is no such run.

        Example:
            >>> with wandb.init(project="digits") as run:
            ...     with run.restore("notes.txt", "digits/train-1") as file:
            ...         file.read()
            'trained on a laptop'
        """
        folder = self.dir if root is None else os.fspath(root)
        path = self._path if run_path is None else named_run(run_path, self._path[:2])
        return restored(self._recording.root, path, name, folder, replace=replace)


def _last_error() -> BaseException | None:
    """The exception that the interpreter printed last, before it ends or in a notebook's cell."""
    return getattr(sys, "last_value", None)
