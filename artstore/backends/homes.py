"""The folders of this user's own settings, caches and state, and of caches of others, which belong to no repository."""

import os


def config_folder() -> str:
    """The folder of this user's own settings."""
    return os.path.join(_folder_of_user("XDG_CONFIG_HOME", ".config"), "artstore")


def cache_folder() -> str:
    """The folder of what this user can make again at any time."""
    return os.path.join(_folder_of_user("XDG_CACHE_HOME", ".cache"), "artstore")


def state_folder() -> str:
    """The folder of this user's log and notes of automations, and of what servers of buckets keep."""
    return os.path.join(_folder_of_user("XDG_STATE_HOME", ".local/state"), "artstore")


def hub_cache_folder() -> str:
    """The folder in which Hugging Face's libraries keep what they download, as they find it."""
    home = os.environ.get("HF_HOME") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.expanduser(os.path.expandvars(named))


def _folder_of_user(variable: str, default: str) -> str:
    """A folder of the XDG Base Directory Specification, which says to ignore one that isn't absolute."""
    folder = os.path.expanduser(os.environ.get(variable, ""))
    return folder if os.path.isabs(folder) else os.path.join(os.path.expanduser("~"), default)
