"""What `init` and `finish` say: where a run is recorded, and what came of it."""

import os
from typing import Any

from artstore.api.handles import opened
from artstore.api.progress import notebook
from artstore.api.settings import Settings
from artstore.api.terminal import termlog
from artstore.domain.changes import Change
from artstore.domain.collection import Path
from artstore.domain.names import printable, shortened
from artstore.domain.run import RunState
from artstore.domain.wording import first_of, human
from artstore.store.variables import is_silent

_MOST = 10
"""The most metrics and versions that are printed."""


def say_begun(state: RunState, root: str, settings: Settings, *, made: bool) -> None:
    """Say where a run is recorded, and under which name."""
    if not (settings.silent or settings.quiet):
        again = "continuing" if state.number > 1 else "recording"
        new = ", a new repository" if made else ""
        _say([f"{again} run {printable(str(state.path))} in {_shown(root)}{new}"])


def say_ended(state: RunState, root: str, settings: Settings, *, quiet: bool | None) -> None:
    """Say how a run ended: its last metrics, and the versions that it logged."""
    if settings.silent or (settings.quiet if quiet is None else quiet):
        return
    named = "" if state.name == state.path.id else f" ({printable(state.name)})"
    ended = f"failed with exit code {state.exit_code}" if state.exit_code else "finished"
    lines = [f"run {printable(str(state.path))}{named} {ended}"]
    numbers = {key: value for key, value in state.summary.items() if not key.startswith("_") and _is_short(value)}
    if numbers:
        lines.append(
            f"  last: {first_of([f'{printable(key)} {_number(value)}' for key, value in numbers.items()], _MOST)}"
        )
    if state.logged:
        lines.append(f"  logged: {first_of([_version(edge, root) for edge in state.logged.values()], _MOST)}")
    _say([*lines, f"  in {_shown(f'{root}/{state.path.folder}')}"])


def say_packing(freed: int, settings: Settings, *, quiet: bool | None) -> None:
    """Say about how many bytes packing would free, unless they are 0."""
    if freed and not (settings.silent or (settings.quiet if quiet is None else quiet)):
        _say([f"`artstore pack` would free about {human(freed)}"])


def _say(lines: list[str]) -> None:
    """Print lines, unless WANDB_SILENT is set; in a notebook as its output, where standard error looks like a failure."""
    if not notebook.is_here():
        for line in lines:
            termlog(line)
    elif not is_silent():
        notebook.show("\n".join(f"artstore: {line}" for line in lines))


def _is_short(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and len(value) <= 40)


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else printable(str(value))


def _version(edge: Change, root: str) -> str:
    """A version's name as it can be typed in a repository."""
    settings = opened(root).settings
    return printable(f"{shortened(Path.named_by(edge), (settings.entity, settings.project))}:v{edge['number']}")


def _shown(folder: str) -> str:
    """A folder as it is shown: below HOME with a `~`."""
    home = os.path.expanduser("~").rstrip("/")
    return printable(f"~{folder[len(home) :]}" if home and folder.startswith(f"{home}/") else folder)
