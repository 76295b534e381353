"""W&B's `wandb.env`: the names of its environment variables, and the values of some."""

from artstore.domain.names import DEFAULT_ENTITY, DEFAULT_PROJECT
from artstore.store.settings import environment_value

_NAMES = (
    "ANONYMOUS", "API_KEY", "ARGS", "ARTIFACT_DIR", "BASE_URL", "CACHE_DIR", "CONFIG_DIR", "CONFIG_PATHS",
    "DATA_DIR", "DEBUG", "DESCRIPTION", "DIR", "DISABLE_CODE", "DISABLE_GIT", "DOCKER", "ENTITY",
    "ERROR_REPORTING", "HOST", "HTTP_TIMEOUT", "JOB_TYPE", "JUPYTER", "MAGIC", "MODE", "NAME", "NOTEBOOK_NAME",
    "NOTES", "ORGANIZATION", "PROGRAM", "PROJECT", "QUIET", "RESUME", "RUN_DIR", "RUN_GROUP", "RUN_ID",
    "SAVE_CODE", "SHOW_RUN", "SILENT", "SWEEP_ID", "SWEEP_PARAM_PATH", "TAGS", "USERNAME", "USER_EMAIL",
)  # fmt: skip
_OTHERS = {"IGNORE": "WANDB_IGNORE_GLOBS", "DISABLE_SSL": "WANDB_INSECURE_DISABLE_SSL"}


def __getattr__(name: str) -> str:
    """The variable's name, such as `WANDB_PROJECT` for `PROJECT`."""
    if name in _NAMES:
        return f"WANDB_{name}"
    if name in _OTHERS:
        return _OTHERS[name]
    raise AttributeError(f"artstore's wandb.env has no '{name}'")


def __dir__() -> list[str]:
    return [*_NAMES, *_OTHERS, "get_entity", "get_project", "is_debug"]


def get_project(default: str | None = DEFAULT_PROJECT) -> str | None:
    """The project that the environment names."""
    return environment_value("WANDB_PROJECT") or default


def get_entity(default: str | None = DEFAULT_ENTITY) -> str | None:
    """The entity that the environment names."""
    return environment_value("WANDB_ENTITY") or default


def is_debug(default: str | None = None) -> bool:
    """Always False: nothing more is printed for WANDB_DEBUG."""
    return False
