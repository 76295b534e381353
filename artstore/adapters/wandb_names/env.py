"""W&B's `wandb.env`: the names of its environment variables, and the values of some."""

import os

from artstore.domain.names import DEFAULT_ENTITY, DEFAULT_PROJECT
from artstore.errors import InvalidValue
from artstore.store.settings import environment_value

_NAMES = (
    "ANONYMOUS", "API_KEY", "ARGS", "ARTIFACT_DIR", "BASE_URL", "CACHE_DIR", "CONFIG_DIR", "CONFIG_PATHS",
    "DATA_DIR", "DEBUG", "DESCRIPTION", "DIR", "DISABLE_CODE", "DISABLE_GIT", "DOCKER", "ENTITY",
    "ERROR_REPORTING", "HOST", "HTTP_TIMEOUT", "JOB_TYPE", "JUPYTER", "MAGIC", "MODE", "NAME", "NOTEBOOK_NAME",
    "NOTES", "ORGANIZATION", "PROGRAM", "PROJECT", "QUIET", "RESUME", "RUN_DIR", "RUN_GROUP", "RUN_ID",
    "SAVE_CODE", "SHOW_RUN", "SILENT", "SWEEP_ID", "SWEEP_PARAM_PATH", "TAGS", "USERNAME", "USER_EMAIL",
)  # fmt: skip
_YES, _NO = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")
_OTHERS = {"IGNORE": "WANDB_IGNORE_GLOBS", "DISABLE_SSL": "WANDB_INSECURE_DISABLE_SSL"}


def __getattr__(name: str) -> str:
    """The variable's name, such as `WANDB_PROJECT` for `PROJECT`."""
    if name in _NAMES:
        return f"WANDB_{name}"
    if name in _OTHERS:
        return _OTHERS[name]
    raise AttributeError(f"artstore's wandb.env has no '{name}'")


def __dir__() -> list[str]:
    return [*_NAMES, *_OTHERS, *(name for name in globals() if name.startswith(("get_", "is_", "set_", "strtobool")))]


def get_project(default: str | None = DEFAULT_PROJECT) -> str | None:
    """The project that the environment names."""
    return environment_value("WANDB_PROJECT") or default


def get_entity(default: str | None = DEFAULT_ENTITY) -> str | None:
    """The entity that the environment names."""
    return environment_value("WANDB_ENTITY") or default


def get_run(default: str | None = None) -> str | None:
    """The id of the run that the environment names."""
    return environment_value("WANDB_RUN_ID") or default


def get_dir(default: str | None = None) -> str | None:
    """The folder of WANDB_DIR."""
    return environment_value("WANDB_DIR") or default


def get_artifact_dir() -> str:
    """The folder to which artifacts are downloaded, as an absolute path."""
    return os.path.abspath(environment_value("WANDB_ARTIFACT_DIR") or "artifacts")


def get_base_url(default: str | None = None) -> str | None:
    """The address of W&B's server that the environment names, which artstore doesn't ask."""
    return environment_value("WANDB_BASE_URL") or default


def get_username(default: str | None = None) -> str | None:
    """The user that the environment names."""
    return environment_value("WANDB_USERNAME") or default


def get_tags(default: str = "") -> list[str]:
    """The tags that the environment gives runs."""
    return [tag for tag in (environment_value("WANDB_TAGS") or default).split(",") if tag]


def set_entity(value: str) -> None:
    """Name the entity in the environment."""
    os.environ["WANDB_ENTITY"] = value


def set_project(value: str) -> None:
    """Name the project in the environment."""
    os.environ["WANDB_PROJECT"] = value or DEFAULT_PROJECT


def is_offline() -> bool:
    """Whether the environment says `offline`."""
    return environment_value("WANDB_MODE") == "offline"


def is_silent() -> bool:
    """Whether messages are left out."""
    return strtobool(environment_value("WANDB_SILENT") or "false")


def is_quiet() -> bool:
    """Whether messages of runs are left out."""
    return strtobool(environment_value("WANDB_QUIET") or "false")


def strtobool(val: str) -> bool:
    """Whether a word means yes. Raises InvalidValue (a ValueError) if it means neither yes nor no."""
    word = val.lower()
    if word not in (*_YES, *_NO):
        raise InvalidValue(f"invalid truth value {val!r}")
    return word in _YES


def is_debug(default: str | None = None) -> bool:
    """Always False: nothing more is printed for WANDB_DEBUG."""
    return False
