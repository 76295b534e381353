"""The session: `init`, and the functions of the module that act on the active run."""

import atexit
import copyreg
import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TextIO, TypeVar

from artstore.api.configs import config_of
from artstore.api.files import PathLike
from artstore.api.handles import opened
from artstore.api.messages import say_begun
from artstore.api.recording import session, start
from artstore.api.resuming import note_run, run_to_resume
from artstore.api.run import Run
from artstore.api.runfiles import named_run, restored
from artstore.api.settings import Settings, for_run, set_for_process
from artstore.api.surroundings.recorder import Surroundings
from artstore.api.terminal import in_notebook, termwarn
from artstore.api.texts import checked_text, checked_texts
from artstore.backends.callers import warn_caller
from artstore.backends.git import NO_CODE, Asking
from artstore.domain.names import DEFAULT_ENTITY, check_project, printable
from artstore.errors import Conflict, InvalidType, InvalidValue
from artstore.repository import Repository
from artstore.store.settings import is_repository
from artstore.store.variables import run_environment

_MODES = {mode: mode for mode in ("online", "offline", "shared", "disabled")} | {"dryrun": "offline", "run": "online"}


def init(
    project: str | None = None,
    *,
    entity: str | None = None,
    job_type: str | None = None,
    name: str | None = None,
    id: str | None = None,
    config: Any = None,
    group: str | None = None,
    tags: list[str] | tuple[str, ...] | None = None,
    notes: str | None = None,
    dir: PathLike | None = None,
    resume: bool | str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    allow_val_change: bool | None = None,
    config_include_keys: list[str] | None = None,
    config_exclude_keys: list[str] | None = None,
    settings: Any = None,
    **furniture: Any,
) -> Run:
    """Start a run and make it the active one. If a run is active, it is returned instead, unless `reinit` differs.

    Its repository is the one that ARTSTORE_DIR names, or the nearest `.artifacts` folder, here or in a parent folder.
    Otherwise it is the nearest to `dir`, and is made if there is none. What isn't given is taken from `settings`, then
    from W&B's environment variables.

    Args:
        project: The project; by default that of the settings.
        entity: The entity; by default that of the settings.
        job_type: What kind of work the run does, such as `train`.
        name: The name shown to people; by default the id.
        id: The run's id; by default a random one. A run that has it is continued.
        config: Hyperparameters: a dict, a namespace, a dataclass, or the path of a YAML file. A value may be an
            Artifact, or text such as `wandb-artifact://project/name:alias`, which is then used. Values of
            `config-defaults.yaml` in the working folder count if they aren't given.
        group: Runs that belong together.
        tags: The run's tags.
        notes: A text for people.
        dir: The folder of the run's own files. A repository there is used if the working folder has none.
        resume: `allow` (True), `never` to refuse an id that exists, `must` to refuse one that doesn't. `auto` goes on,
            if no id is given, with the last run that was started so, if it failed or crashed.
        mode: `disabled` records nothing; all other modes of W&B record.
        reinit: What happens if runs are active. `return_previous` (False) returns the newest of them, which is the
            default but in notebooks. `finish_previous` (True) finishes them first. `create_new` starts a run beside
            them: `artstore.run`, `artstore.log` and the like stay those of the run before.
        allow_val_change: Let config values be changed.
        config_include_keys: Only these keys of `config`.
        config_exclude_keys: Not these keys of `config`.
        settings: A `Settings` object or a dict.
        **furniture: Other arguments of W&B. `save_code` saves the script with the run; all others change nothing.

    Returns:
        The run, which a `with` block finishes.

    Raises:
        InvalidValue: If an argument isn't valid.
        Conflict: If the run exists, and `resume` is `never`.
        NotFound: If it doesn't exist, and `resume` is `must`.

    Example:
        >>> with wandb.init(project="digits", job_type="train", id="train-2", config={"lr": 0.1}) as run:
        ...     folder = run.use_artifact("images:latest").download()
        ...     run.log({"loss": 0.5})
        >>> wandb.Api().run("digits/train-2").summary
        {'loss': 0.5}
    """
    if unknown := furniture.keys() - _FURNITURE:
        raise InvalidType(f"init() got an unexpected keyword argument '{min(unknown)}'")
    for argument, lost in _IGNORED.items():
        if furniture.get(argument):
            warn_caller(f"init({argument}=…) changes nothing: {lost}")
    chosen = for_run(
        settings, {"reinit": reinit} | {key: furniture.get(key) for key in ("save_code", "sync_tensorboard")}
    )
    given = {
        "project": project, "entity": entity, "job_type": job_type, "name": name, "id": id, "group": group, "notes": notes,
        "tags": tags, "mode": mode, "resume": resume,
    }  # fmt: skip
    asked = _asked(chosen, {key: value for key, value in given.items() if value is not None})
    values, artifacts = config_of(config, config_include_keys, config_exclude_keys)
    disabled, below = (mode := asked.pop("mode")) == "disabled", None if dir is None else os.fspath(dir)
    if session.active and (before := _instead_of_new(chosen, asked.get("resume"))) is not None:
        return before
    if chosen.reinit == "create_new":
        _refuse_active(asked.get("id"), asked.get("project"))
    if disabled:
        asked = {key: value for key, value in asked.items() if key not in ("id", "resume")}
        asked["id"] = session.disabled_id()
    if asked.get("resume") == "auto":
        asked["id"] = asked.get("id") or run_to_resume(below)
    code = (
        None if disabled or chosen.disable_git else Asking(chosen.git_remote)
    )  # answers while the repository is opened
    root = session.scratch() if disabled else session.place(below)
    if made := not is_repository(root):
        _make(root, None if disabled else asked.get("entity"))
    said = NO_CODE if code is None else code.answer()
    run = start(root, config=values, code=said, **asked)
    chosen.show_run(mode, asked.get("resume"), state := run.state())
    run.ignored = chosen.ignore_globs
    if chosen.resume == "auto":
        note_run(below, run.path.id)
    if not disabled:
        say_begun(state, root, chosen, made=made)
    recorder = None if disabled else Surroundings(run, chosen, said)
    allowed = bool(chosen.allow_val_change if allow_val_change is None else allow_val_change)
    started = Run(run, allow_val_change=allowed, disabled=disabled, start=below, settings=chosen, recorder=recorder)
    session.begin(started, run, beside=chosen.reinit == "create_new")
    started.config.update(artifacts)
    atexit.register(started.end_at_exit)
    if (workers := sys.modules.get("multiprocessing.util")) is not None:  # a forked worker ends without `atexit`
        workers.Finalize(None, started.end_at_exit, exitpriority=0)
    return started


def _instead_of_new(settings: Settings, resume: str | None) -> Run | None:
    """What `reinit` says of the active runs: the one to return, or None to start another run."""
    wanted = settings.reinit
    if wanted == "create_new":
        return None
    if wanted == "finish_previous" or (wanted == "default" and in_notebook()):
        for run in session.active:
            run.finish()
        return None
    before = session.active[-1]
    if resume == "must":
        raise Conflict(
            f"run {before.id} is active, so init() can't resume another one", hint="finish it, or reinit='create_new'"
        )
    if not (settings.silent or settings.quiet):
        termwarn(f"run {printable(before.path)} is active, so init() returns it; see reinit to start another one")
    return before


def _refuse_active(id: str | None, project: str | None) -> None:
    if any(run.id == id and project in (None, run.project) for run in session.active):
        raise Conflict(f"run ID {id} is in use: this process records that run", hint="finish it, or give another id")


def _make(root: str, entity: str | None) -> None:
    """Make a repository. The entity of its first run is the default for whoever uses it, also on the command line."""
    with Repository.init(root) as repository:
        if (entity := entity or repository.settings.entity) != DEFAULT_ENTITY:
            repository.settings.set("core.entity", check_project(entity, "entity"))


def _asked(settings: Settings, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments for `start`, and the mode: of the environment, then of the settings, then given ones; checked."""
    asked = {**run_environment(), **settings.of_run(), **given}
    wanted = asked.get("mode", "online")
    if wanted not in _MODES:
        raise InvalidValue(f"mode '{wanted}' is not one of {', '.join(_MODES)}")
    for what in ("name", "group", "job_type", "notes"):
        if asked.get(what) is not None:
            checked_text(what, asked[what])
    asked["tags"] = None if asked.get("tags") is None else checked_texts(asked["tags"])
    if isinstance(asked.get("resume"), bool):
        asked["resume"] = "allow" if asked["resume"] else None
    return asked | {"mode": _MODES[wanted], "resume": asked.get("resume") or None}


_FURNITURE = {
    "anonymous", "force", "save_code", "tensorboard", "sync_tensorboard", "monitor_gym", "resume_from", "fork_from", "magic",
}  # fmt: skip

_IGNORED = {
    "sync_tensorboard": "TensorBoard's files aren't read; log() and the callbacks of artstore.integration record metrics",
    "tensorboard": "TensorBoard's files aren't read; log() and the callbacks of artstore.integration record metrics",
    "monitor_gym": "videos of environments aren't recorded",
    "fork_from": "a run begins without steps of another one",
    "resume_from": "a run continues after its last step",
}
"""Arguments of W&B's whose effect a script would miss, and what it would miss."""


# -- functions of the module that act on the active run --


P = ParamSpec("P")
T = TypeVar("T")


def _of_active_run(method: Callable[Concatenate[Run, P], T]) -> Callable[P, T]:
    """A function with this method's signature that calls it on the active run. Raises NoActiveRun."""
    name = method.__name__

    @wraps(method, assigned=("__doc__", "__name__", "__annotations__"))
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        answer: T = getattr(session.require(f"{name}()"), name)(*arguments, **options)
        return answer

    own = signature(method)
    call.__signature__ = own.replace(parameters=[*own.parameters.values()][1:])  # type: ignore[attr-defined]  # `inspect` reads it
    call.__qualname__ = name
    return call


alert = _of_active_run(Run.alert)
define_metric = _of_active_run(Run.define_metric)
finish_artifact = _of_active_run(Run.finish_artifact)
link_artifact = _of_active_run(Run.link_artifact)
link_model = _of_active_run(Run.link_model)
log = _of_active_run(Run.log)
log_artifact = _of_active_run(Run.log_artifact)
log_code = _of_active_run(Run.log_code)
log_model = _of_active_run(Run.log_model)
save = _of_active_run(Run.save)
upsert_artifact = _of_active_run(Run.upsert_artifact)
use_artifact = _of_active_run(Run.use_artifact)
use_model = _of_active_run(Run.use_model)
watch = _of_active_run(Run.watch)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the active run, if there is one. With `quiet`, no message about it is printed."""
    if session.run is not None:
        session.run.finish(exit_code, quiet)


join = finish


def attach(attach_id: str | None = None, run_id: str | None = None, **_: Any) -> Run:
    """The active run with this id or `entity/project/id`; if it isn't active in this process, it is continued.

    Raises:
        InvalidValue: If no id is given.
        NotFound: If there is no such run.
    """
    *parents, wanted = (attach_id or run_id or "").split("/")
    if not wanted:
        raise InvalidValue("Either (`attach_id` or `run_id`) or `run` must be specified")
    for run in session.active:
        if run.id == wanted:
            return run
    entity, project = parents if len(parents) == 2 else (None, None)
    return init(project, entity=entity, id=wanted, resume="must")


class PickledRun:
    """A run that was pickled or copied. Its first use finds the run, or continues it in this process: see `attach`."""

    def __init__(self, path: str) -> None:
        vars(self)["_path"] = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(attach(vars(self)["_path"]), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(attach(vars(self)["_path"]), name, value)

    def __reduce__(self) -> Any:
        return PickledRun, (vars(self)["_path"],)


def _pickled(run: Run) -> Any:
    return PickledRun, (run.path,)


copyreg.pickle(Run, _pickled)


def restore(
    name: str, run_path: str | None = None, replace: bool = False, root: PathLike | None = None
) -> TextIO | None:
    """Restore a file that a run saved: see `Run.restore`. A file that is there already is kept.

    Args:
        name: The file's path in the run.
        run_path: The run, `[[entity/]project/]id`; by default the active one.
        replace: Replace a file that is there.
        root: The folder; by default the active run's `dir`, or without a run the working folder.

    Returns:
        The file, opened as text. None if the run has no such file.

    Raises:
        InvalidValue: If there is no active run, and `run_path` isn't given (also a ValueError).
        NotFound: If there is no such run.

    Example:
        >>> with wandb.restore("notes.txt", "digits/train-1") as file:
        ...     file.read()
        'trained on a laptop'
    """
    if session.run is not None:
        return session.run.restore(name, run_path, replace, root)
    if run_path is None:
        raise InvalidValue("run_path required when calling wandb.restore before wandb.init")
    place = session.lasting_place()
    settings = opened(place).settings
    path = named_run(run_path, (settings.entity, settings.project))
    return restored(place, path, name, os.fspath(root or "."), replace=replace)


def login(*_: Any, **__: Any) -> bool:
    """Accepted as in W&B: there is no account to log in to."""
    return True


def setup(settings: Any = None) -> None:
    """Set defaults for all runs that this process starts.

    Args:
        settings: A `Settings` object or a dict.

    Raises:
        InvalidValue: If a field doesn't exist, or its value is wrong.
    """
    set_for_process(settings)


def unwatch(models: Any = None) -> None:
    """Stop logging the gradients and parameters of these models, or of all."""
    if session.run is not None:
        session.run.unwatch(models)
