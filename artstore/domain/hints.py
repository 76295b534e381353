"""Hints that can be typed: commands quoted for a shell, and near names with what stood before them."""

from collections.abc import Iterable


def typed(command: str, *arguments: str) -> str:
    """An artstore command as a shell takes it, in backquotes; no argument is taken for an option."""
    import shlex  # 2 ms, needed only when something was not found

    dashes = ["--"] if any(argument.startswith("-") for argument in arguments) else []
    return f"`artstore {' '.join([command, *dashes, *map(shlex.quote, arguments)])}`"


def near(name: str, others: Iterable[str], before: str = "", after: str = "") -> str | None:
    """A hint with up to three names that look like `name`, between what stood around it; None without one."""
    import difflib  # 4 ms, needed only when something was not found

    others = list(others)
    close = [other for other in others if other.casefold() == name.casefold()]
    close = close or difflib.get_close_matches(name, others, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(f'{before}{c}{after}') for c in close)}?" if close else None
