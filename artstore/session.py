"""The session: `init`, and the functions of the module that follow the active run."""

import atexit
import os
from typing import Any

from artstore import recording
from artstore.artifact import Artifact, PathLike
from artstore.errors import InvalidValue
from artstore.metadata import recorded
from artstore.running import Run, active_run, as_dict_of, require_run, set_active
from artstore.settings import root_to_create, run_id, run_mode

_MODES = ("online", "offline", "shared", "disabled")


def init(
    project: str | None = None,
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
    reinit: Any = None,
    allow_val_change: bool | None = None,
    config_include_keys: list[str] | None = None,
    config_exclude_keys: list[str] | None = None,
    settings: Any = None,
    **furniture: Any,
) -> Run:
    """Start a run and make it the active one; one that was active is finished first.

    `dir` is where the repository is (or is made): the nearest `.artifacts` upwards from it. An `id` that exists goes on
    with that run, unless `resume` is "never". In mode "disabled" nothing is recorded. W&B's other arguments (save_code,
    anonymous, force, …) are accepted and change nothing.
    """
    mode = mode or run_mode() or "online"
    if mode not in _MODES:
        raise InvalidValue(f"mode '{mode}' is not one of {', '.join(_MODES)}")
    if unknown := furniture.keys() - _FURNITURE:
        raise TypeError(f"init() got an unexpected keyword argument '{min(unknown)}'")
    if (before := active_run()) is not None:
        before.finish()
    values = {str(key): recorded(value) for key, value in as_dict_of(config).items()}
    values = {k: v for k, v in values.items() if config_include_keys is None or k in config_include_keys}
    values = {k: v for k, v in values.items() if k not in (config_exclude_keys or ())}
    run = None
    if mode != "disabled":
        run = recording.start(
            root_to_create(None if dir is None else os.fspath(dir)),
            entity=entity,
            project=project,
            id=id or run_id(),
            name=name,
            job_type=job_type,
            group=group,
            tags=None if tags is None else list(tags),
            notes=notes,
            config=values,
            resume=("allow" if resume else None) if isinstance(resume, bool) else resume,
        )
    started = Run(run, values, allow_val_change=bool(allow_val_change))
    set_active(started)
    atexit.register(started.end_at_exit)
    return started


_FURNITURE = frozenset(
    (
        "anonymous", "force", "save_code", "tensorboard", "sync_tensorboard", "monitor_gym", "resume_from", "fork_from",
        "magic",
    )
)  # fmt: skip


# -- functions of the module that follow the active run --


def log(data: dict[str, Any], step: int | None = None, commit: bool | None = None, sync: bool | None = None) -> None:
    require_run("log()").log(data, step, commit, sync)


def log_artifact(
    artifact_or_path: Artifact | PathLike,
    name: str | None = None,
    type: str | None = None,
    aliases: list[str] | str | None = None,
    tags: list[str] | None = None,
) -> Artifact:
    return require_run("log_artifact()").log_artifact(artifact_or_path, name, type, aliases, tags)


def use_artifact(
    artifact_or_name: str | Artifact,
    type: str | None = None,
    aliases: list[str] | str | None = None,
    use_as: str | None = None,
) -> Artifact:
    return require_run("use_artifact()").use_artifact(artifact_or_name, type, aliases, use_as)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the active run, if there is one."""
    if (run := active_run()) is not None:
        run.finish(exit_code)


def login(*_: Any, **__: Any) -> bool:
    """Accepted as W&B's: there is no account and nothing to log in to."""
    return True


def setup(*_: Any, **__: Any) -> None:
    """Accepted as W&B's: nothing needs to be set up."""


def define_metric(*_: Any, **__: Any) -> None:
    """Accepted as W&B's; every metric is kept in the same way."""


def watch(*_: Any, **__: Any) -> None:
    """Accepted as W&B's; gradients are not recorded."""


def save(*_: Any, **__: Any) -> None:
    require_run("save()").save()


def alert(title: str, text: str = "", *_: Any, **__: Any) -> None:
    require_run("alert()").alert(title, text)


class Settings:
    """Accepted as W&B's: whatever it is given, as attributes."""

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)
