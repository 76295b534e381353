"""Variables of the environment, artstore's and W&B's: settings for runs, and values that are secrets."""

import os
import re
from collections.abc import Mapping
from typing import Any

_SHORTEST = 6
"""Characters of the shortest value that is hidden: a shorter one may be part of any word."""
ON = ("on", "true", "yes", "1")
"""The words that mean yes."""
_HAS_SECRET = re.compile(
    r"secret|passw|passphrase|_key$|api_?keys$|(^|_)(pass|pat|jwt|bearer|auth|authorization|cookie|dsn)$|token_?\d+$"
    r"|connection_string$",
    re.IGNORECASE,
)


def variable(*names: str) -> str | None:
    """The value of the first of these variables that is set and not empty; else None."""
    return next((value for name in names if (value := os.environ.get(name))), None)


def run_environment() -> dict[str, Any]:
    """The settings for runs in the environment: mode, id, and W&B's other variables. Unset ones are left out."""
    names = {
        "mode": ("ARTSTORE_MODE", "WANDB_MODE"),
        "id": ("ARTSTORE_RUN_ID", "WANDB_RUN_ID"),
        "name": ("WANDB_NAME",), "notes": ("WANDB_NOTES",), "group": ("WANDB_RUN_GROUP",),
        "job_type": ("WANDB_JOB_TYPE",), "resume": ("WANDB_RESUME",), "tags": ("WANDB_TAGS",),
    }  # fmt: skip
    found: dict[str, Any] = {key: value for key, of in names.items() if (value := variable(*of)) is not None}
    if (variable("WANDB_DISABLED") or "").lower() in ON:
        found.setdefault("mode", "disabled")
    if "tags" in found:
        found["tags"] = [tag.strip() for tag in found["tags"].split(",")]
    return found


def settings_of_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings that W&B's variables name, by their fields: WANDB_CONSOLE is `console`, WANDB__DISABLE_STATS is
    `x_disable_stats`. Those that `run_environment` knows are left out. Some may not be settings.
    """
    found = {}
    for name, value in environ.items():
        if name.startswith("WANDB_") and value:
            found[name.removeprefix("WANDB_").lower().replace("_", "x_", 1 if name.startswith("WANDB__") else 0)] = (
                value
            )
    return {name: value for name, value in found.items() if name not in _OF_RUNS}


_OF_RUNS = (
    "mode",
    "run_id",
    "name",
    "notes",
    "run_group",
    "job_type",
    "resume",
    "tags",
    "project",
    "entity",
    "api_key",
)


def is_disabled() -> bool:
    """Whether the environment says that runs record nothing."""
    return run_environment().get("mode") == "disabled"


def wants_a_server() -> bool:
    """Whether the environment asks for runs at W&B's server by name: WANDB_MODE is `online`."""
    return (variable("WANDB_MODE") or "").lower() == "online"


def is_silent() -> bool:
    """Whether messages that nobody asked for are left out (WANDB_SILENT)."""
    return (variable("WANDB_SILENT") or "").lower() in ON


_OF_BATCHES = "CI", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "KUBERNETES_SERVICE_HOST"
"""Variables that tests in a service, jobs of clusters and containers of a cluster have."""
_IN_BACKGROUND = re.compile(
    "HOME|PATH|TMPDIR|LANG|LC_.*|XDG_.*|VIRTUAL_ENV|(PYTHON|LD_LIBRARY_|DYLD_LIBRARY_)(PATH|HOME)"
)
"""Variables that a process in the background needs: where its files are, and where Python and its packages are."""


def batch_variable() -> str | None:
    """The name of a variable that only jobs have; None if none is set."""
    return next((name for name in _OF_BATCHES if os.environ.get(name)), None)


def environment_in_background() -> dict[str, str]:
    """The environment for a process in the background: no secrets, and nothing that was meant for one command alone.

    numpy's library for matrices would start a thread for each processor, and isn't used.
    """
    kept = {name: value for name, value in os.environ.items() if _IN_BACKGROUND.fullmatch(name)}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def environment_for_children(first: str) -> dict[str, str]:
    """The environment, in which Python looks for modules in the folder `first` before all others.

    What PYTHONPATH held stays behind it. No part is empty, because Python takes that for the working folder.
    """
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    parts = [first, *(part for part in before if part and part != first)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(parts)}


def set_for_children(first: str) -> None:
    """Let processes that this one starts look for modules in the folder `first` before all others."""
    os.environ["PYTHONPATH"] = environment_for_children(first)["PYTHONPATH"]


def variables() -> dict[str, str | None]:
    """The environment variables of artstore and W&B, by name; None for a value that looks like a secret."""
    found = {name: value for name, value in sorted(os.environ.items()) if name.startswith(("ARTSTORE_", "WANDB_"))}
    return {name: None if _looks_secret(f"{name}={value}") else value for name, value in found.items()}


def secret_values() -> list[str]:
    """The values of all variables whose names mean a secret, such as WANDB_API_KEY: each line of each, long ones first.

    Also the passwords in other variables' URLs. Names of files are left out, because the secret is in the file.
    """
    from artstore.domain.redaction import is_secret, passwords_in

    values = (value for name, value in os.environ.items() if is_secret(name) or _HAS_SECRET.search(name))
    lines = {line.strip() for value in values if not os.path.isabs(value) for line in value.splitlines()}
    lines |= {password for value in os.environ.values() if "://" in value for password in passwords_in(value)}
    return sorted((line for line in lines if len(line) >= _SHORTEST), key=len, reverse=True)


def _looks_secret(setting: str) -> bool:
    from artstore.domain.redaction import redacted  # only for `doctor`

    return bool(re.search(_SECRET, setting, re.IGNORECASE)) or redacted(setting) != setting


_SECRET = r"(KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH)[^=]*=|://[^/]*@|=[0-9a-f-]{32,}$"
"""Variables with a secret's name, a URL with a password, or a value like W&B's keys."""
