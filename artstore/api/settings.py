"""Settings of runs, with W&B's names. Those that concern a server are accepted, and change nothing."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from artstore.api.terminal import in_notebook
from artstore.api.texts import checked_texts
from artstore.domain.run import RunState
from artstore.domain.wording import near
from artstore.errors import InvalidType, InvalidValue
from artstore.store.variables import settings_of_environment

_OFF = (
    "allow_media_symlink", "allow_val_change", "console_multipart", "disable_code", "disable_git", "force",
    "finish_timeout_raises", "insecure_disable_ssl", "label_disable", "launch", "quiet", "relogin", "resumed",
    "sagemaker_disable", "silent", "stop_on_fatal_error", "table_raise_on_max_row_limit_exceeded",
    "x_cli_only_mode", "x_disable_meta", "x_disable_stats", "x_disable_viewer", "x_disable_machine_info",
    "x_server_side_derived_summary", "x_skip_transaction_log", "x_stats_track_process_tree", "x_stats_no_cgroup",
    "x_stats_self_usage", "x_sync",
)  # fmt: skip
_ON = (
    "allow_offline_artifacts", "disable_git_fork_point", "disable_job_creation", "show_errors", "show_info",
    "show_warnings", "symlink", "x_file_stream_no_gzip", "x_primary", "x_save_requirements", "x_update_finish_state",
)  # fmt: skip
_PERHAPS = (
    "save_code", "show_colors", "show_emoji", "strict", "sync_tensorboard", "use_dot_wandb", "x_flow_control_custom",
)  # fmt: skip
_TEXTS = (
    "api_key", "app_url_override", "base_url", "code_dir", "credentials_file", "docker", "email", "entity", "git_commit",
    "git_remote", "git_remote_url", "git_root", "host", "http_proxy", "https_proxy", "identity_token_file", "job_name",
    "job_source", "launch_config_path", "notebook_name", "organization", "program", "program_abspath", "program_relpath",
    "project", "root_dir", "run_group", "run_id", "run_job_type", "run_name", "run_notes", "settings_system",
    "start_method", "sweep_id", "sweep_param_path", "username", "x_executable", "x_files_dir", "x_history_value_encoding",
    "x_jupyter_name", "x_jupyter_path", "x_jupyter_root", "x_label", "x_runqueue_item_id", "x_service_transport",
    "x_stats_coreweave_metadata_base_url", "x_stats_coreweave_metadata_endpoint", "x_stats_dcgm_exporter",
    "x_stats_gpu_type", "x_stats_neuron_monitor_config_path", "x_sync_dir_suffix",
)  # fmt: skip
_COUNTS = (
    "console_chunk_max_bytes", "console_chunk_max_seconds", "heartbeat_seconds", "max_end_of_run_history_metrics",
    "max_end_of_run_summary_metrics", "summary_timeout", "summary_warnings", "x_file_stream_max_bytes",
    "x_file_stream_max_line_bytes", "x_file_stream_retry_max", "x_file_transfer_retry_max", "x_graphql_retry_max",
    "x_live_policy_rate_limit", "x_live_policy_wait_time", "x_log_level", "x_network_buffer", "x_stats_buffer_size",
    "x_stats_cpu_count", "x_stats_cpu_logical_count", "x_stats_gpu_count", "x_stats_pid",
)  # fmt: skip
_SECONDS = (
    "finish_timeout", "init_timeout", "login_timeout", "x_file_stream_retry_wait_max_seconds",
    "x_file_stream_retry_wait_min_seconds", "x_file_stream_timeout_seconds", "x_file_stream_transmit_interval",
    "x_file_transfer_retry_wait_max_seconds", "x_file_transfer_retry_wait_min_seconds",
    "x_file_transfer_timeout_seconds", "x_graphql_retry_wait_max_seconds", "x_graphql_retry_wait_min_seconds",
    "x_graphql_timeout_seconds", "x_internal_check_process", "x_service_wait", "x_start_time",
    "x_stats_sampling_interval", "x_transaction_log_flush_interval",
)  # fmt: skip
_LISTS = "config_paths", "ignore_globs", "x_stats_disk_paths", "x_stats_gpu_device_ids"
_DICTS = (
    "azure_account_url_to_access_key", "capture_loggers", "x_extra_http_headers", "x_proxies",
    "x_stats_open_metrics_endpoints", "x_stats_open_metrics_filters", "x_stats_open_metrics_http_headers",
)  # fmt: skip
_OTHERS = "anonymous", "fork_from", "mode", "resume", "resume_from", "run_tags", "stop_fn", "x_flow_control_disabled"
FIELDS: dict[str, Any] = {
    **dict.fromkeys(_OFF, False), **dict.fromkeys(_ON, True), 
    **dict.fromkeys((*_PERHAPS, *_TEXTS, *_COUNTS, *_SECONDS, *_LISTS, *_DICTS, *_OTHERS)),
    "console": "auto", "reinit": "default", "git_remote": "origin", "x_stats_sampling_interval": 15.0, "mode": "online",
    "ignore_globs": (),
}  # fmt: skip
"""The default of each field."""
OF_RUN = {
    "project": "project", "entity": "entity", "run_id": "id", "run_name": "name", "run_notes": "notes", "run_tags": "tags",
    "run_group": "group", "run_job_type": "job_type", "mode": "mode", "resume": "resume",
}  # fmt: skip
"""The fields that are arguments of `init`, and these."""
_REINITS = "default", "return_previous", "finish_previous", "create_new"
_MODES = "online", "offline", "run", "dryrun", "disabled", "shared"
_CONSOLES = "auto", "off", "wrap", "redirect", "wrap_raw", "wrap_emu"
_WORDS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


class Settings:
    """Settings of a run: `init(settings=…)` and `setup(settings=…)` take them.

    Example:
        >>> settings = wandb.Settings(console="off", run_name="first")
        >>> with wandb.init(project="digits", settings=settings) as run:
        ...     run.name, run.settings.console
        ('first', 'off')
    """

    def __init__(self, **values: Any) -> None:
        """Set these fields; all others have their defaults. Raises InvalidValue for a field or value that is wrong."""
        vars(self).update(FIELDS)
        self.given: dict[str, Any] = {}
        self.update_from_dict(values)

    given: dict[str, Any]
    """The fields that were set."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"Settings has no field '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "given":
            vars(self)[name] = value
            return
        self.given[name] = vars(self)[name] = checked_setting(name, value)

    def of_run(self) -> dict[str, Any]:
        """What was set of the run itself, such as its id, under the names of `init`'s arguments."""
        found = {ours: self.given[theirs] for theirs, ours in OF_RUN.items() if theirs in self.given}
        if isinstance(found.get("resume"), bool):
            found["resume"] = "allow" if found["resume"] else None
        return found | ({"tags": checked_texts(found["tags"])} if "tags" in found else {})

    def update_from_dict(self, settings: dict[str, Any]) -> None:
        """Set several fields. None leaves a field as it is."""
        for name, value in settings.items():
            if value is not None or name not in FIELDS:
                setattr(self, name, value)

    def update_from_settings(self, settings: "Settings") -> None:
        """Set the fields that were set in other settings."""
        self.update_from_dict(settings.given)

    def update_from_env_vars(self, environ: Mapping[str, str]) -> None:
        """Set the fields that these variables name: `WANDB_QUIET` is `quiet`, `WANDB__DISABLE_STATS` `x_disable_stats`."""
        for name, value in settings_of_environment(environ).items():
            if name in FIELDS:
                self.update_from_dict({name: value})

    def show_run(self, mode: str, resume: str | None, state: RunState) -> None:
        """Let the fields of the run itself have the values of the run that was started."""
        path, program = state.path, self.program or _program()
        label = {"run_name": state.name or path.id, "run_notes": state.notes, "run_tags": tuple(state.tags) or None}
        vars(self).update(
            mode=mode, resume=resume, entity=path.entity, project=path.project, run_id=path.id, run_group=state.group,
            run_job_type=state.job_type, program=program, **label,
        )  # fmt: skip

    @property
    def _offline(self) -> bool:
        return self.mode in ("offline", "dryrun")

    @property
    def _noop(self) -> bool:
        return bool(self.mode == "disabled")

    @property
    def _jupyter(self) -> bool:
        return in_notebook()

    def model_dump(self) -> dict[str, Any]:
        """All fields and their values, and what W&B's settings say of the mode: `_offline`, `_noop`, `_jupyter`."""
        return dict(self) | {name: getattr(self, name) for name in ("_offline", "_noop", "_jupyter")}

    def model_copy(self) -> "Settings":
        """Other settings with the same values."""
        copied = Settings()
        vars(copied).update({**vars(self), "given": dict(self.given)})
        return copied

    __copy__ = model_copy

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in FIELDS)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        shown = ((name, "***" if name == "api_key" else repr(value)) for name, value in self.given.items())
        return f"Settings({', '.join(f'{name}={text}' for name, text in shown)})"


def _text(name: str, value: Any) -> str:
    if isinstance(value, str | os.PathLike):
        return str(os.fspath(value))
    raise InvalidValue(f"setting {name} must be text, not {value!r:.80}")


def _number(name: str, value: Any) -> float:
    kind: type[float] = int if name in _COUNTS else float
    try:
        return kind(value)
    except (TypeError, ValueError, OverflowError):
        what = "a whole number" if kind is int else "a number of seconds"
        raise InvalidValue(f"setting {name} must be {what}, not {value!r:.80}") from None


def _tuple(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str):
        return tuple(value.split(","))
    if isinstance(value, Iterable):
        return tuple(value)
    raise InvalidValue(f"setting {name} must be a list, not {value!r:.80}")


def _dict(name: str, value: Any) -> dict[str, Any]:
    with suppress(ValueError):
        value = json.loads(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        return value
    raise InvalidValue(f"setting {name} must be a dict, not {value!r:.80}")


def _tags(_name: str, value: Any) -> tuple[str, ...]:
    tags = tuple(checked_texts(value))
    if not all(1 <= len(tag) <= 64 for tag in tags):
        raise InvalidValue("Tags must be between 1 and 64 characters")
    return tags


_KIND_OF: dict[str, Callable[[str, Any], Any]] = {
    "run_tags": _tags,
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys((*_COUNTS, *_SECONDS), _number),
    **dict.fromkeys(_LISTS, _tuple),
    **dict.fromkeys(_DICTS, _dict),
}
"""What checks the value of a field that holds no word."""


def checked_setting(name: str, value: Any) -> Any:
    """The value of a field. Raises InvalidValue if there is no such field, or the value is wrong."""
    if name not in FIELDS:
        raise InvalidValue(f"Settings has no field '{name}'", hint=near(name, FIELDS))
    if value is None:
        return FIELDS[name]
    if isinstance(FIELDS[name], bool) or name in _PERHAPS:
        known = _WORDS.get(str(value).lower())
        if known is None:
            raise InvalidValue(f"setting {name} must be true or false, not {value!r}")
        return known
    if (kind := _KIND_OF.get(name)) is not None:
        return kind(name, value)
    if name == "mode" and value not in _MODES:
        raise InvalidValue(f"mode '{value}' is not one of {', '.join(_MODES)}")
    if name == "console" and value not in _CONSOLES:
        raise InvalidValue(f"setting console must be one of {', '.join(_CONSOLES)}, not {value!r}")
    if name == "console" and value == "auto":
        return "wrap"
    if name == "reinit":
        as_word = _WORDS.get(str(value).lower())
        value = value if as_word is None else "finish_previous" if as_word else "return_previous"
        if value not in _REINITS:
            raise InvalidValue(f"setting reinit must be one of {', '.join(_REINITS)}, not {value!r}")
    return value


def given_in(settings: Any) -> dict[str, Any]:
    """The fields that a user's settings set: a Settings object, a dict, or an object of another package."""
    if settings is None:
        return {}
    if isinstance(settings, Settings):
        return settings.given
    if not isinstance(settings, dict) and not hasattr(settings, "__dict__"):
        raise InvalidType(f"settings must be a Settings object or a dict, not {settings!r:.80}")
    values = settings if isinstance(settings, dict) else {k: v for k, v in vars(settings).items() if k in FIELDS}
    return Settings(**values).given


def _program() -> str | None:
    """The script that runs, or `-m` and the module; None for an interactive interpreter."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    return getattr(main, "__file__", None) if spec is None else f"-m {spec.name.removesuffix('.__main__')}"


_of_process = Settings()
"""What `setup(settings=…)` set."""


def set_for_process(settings: Any) -> None:
    """Set defaults for all runs that this process starts."""
    _of_process.update_from_dict(given_in(settings))


def for_run(settings: Any, more: dict[str, Any]) -> Settings:
    """The settings of a run: of the environment, then of `setup`, then given ones, then `more`. The last one counts."""
    found = Settings()
    found.update_from_env_vars(os.environ)
    for values in (_of_process.given, given_in(settings), more):
        found.update_from_dict(values)
    return found
