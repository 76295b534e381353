"""Ignore rules: gitignore patterns as regular expressions. Pure: who walks a folder reads the files and asks."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

IGNORE_FILE = ".artifactsignore"


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    keep: bool
    """written with a leading `!`"""
    folders_only: bool


class Rules:
    """The patterns of one file or argument, relative to the folder `base` (`""` or ending in `/`). The last match
    decides, as in git.
    """

    def __init__(self, lines: Iterable[str], base: str = "") -> None:
        self.base = base
        self._rules = [rule for line in lines if (rule := _parse(line))]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, path: str, folder: bool) -> bool | None:
        """True: ignored; False: kept by a `!` pattern; None: these rules say nothing of `path`."""
        if not path.startswith(self.base):
            return None
        path = path[len(self.base) :]
        for rule in reversed(self._rules):
            if (folder or not rule.folders_only) and rule.pattern.fullmatch(path):
                return not rule.keep
        return None


def ignored(stack: Iterable[Rules], path: str, folder: bool) -> bool:
    """Whether the innermost rules that speak of a path ignore it; `stack` goes from the outermost folder inwards."""
    verdict = None
    for rules in stack:
        said = rules.match(path, folder)
        verdict = verdict if said is None else said
    return bool(verdict)


class Filter:
    """`include` and `exclude` globs over whole entry paths: a path passes when an include (if any) names it or a folder
    above it, and no exclude does.
    """

    def __init__(self, include: Iterable[str] | None, exclude: Iterable[str] | None) -> None:
        self.include, self.exclude = include, exclude = list(include or ()), list(exclude or ())
        self.key = repr((include, exclude))
        """equal for filters that pass the same paths"""
        self._include = Rules(include) if include else None
        self._exclude = Rules(exclude) if exclude else None

    def __bool__(self) -> bool:
        return self._include is not None or self._exclude is not None

    def excludes(self, path: str, folder: bool) -> bool:
        return self._exclude is not None and bool(self._exclude.match(path, folder))

    def passes(self, path: str) -> bool:
        """For files: asks of every folder above it too."""
        parts = path.split("/")
        above = [("/".join(parts[:n]), True) for n in range(1, len(parts))] + [(path, False)]
        if any(self.excludes(*step) for step in above):
            return False
        return self._include is None or any(self._include.match(*step) for step in above)


NO_FILTER = Filter(None, None)


def _parse(line: str) -> _Rule | None:
    line = line.rstrip("\r\n")
    stripped = line.rstrip(" ")
    if stripped.endswith("\\") and stripped != line:
        stripped += " "  # a trailing space that is escaped counts
    line = stripped
    if not line or line.startswith("#"):
        return None
    keep = line.startswith("!")
    line = line[1:] if keep else line
    folders_only = line.endswith("/")
    line = line.rstrip("/") if folders_only else line
    if not line:
        return None
    anchored = "/" in line
    return _Rule(_compile(line.lstrip("/"), anchored), keep, folders_only)


@lru_cache(maxsize=1024)
def _compile(pattern: str, anchored: bool) -> re.Pattern[str]:
    text = "" if anchored else "(?:.*/)?"
    i = 0
    while i < len(pattern):
        if pattern.startswith("**/", i) and (i == 0 or pattern[i - 1] == "/"):
            text, i = text + "(?:.*/)?", i + 3
        elif pattern[i:] == "**" and (i == 0 or pattern[i - 1] == "/"):
            text, i = text + ".+", i + 2
        elif pattern[i] == "*":
            text, i = text + "[^/]*", i + 1
        elif pattern[i] == "?":
            text, i = text + "[^/]", i + 1
        elif (
            pattern[i] == "["
            and (end := pattern.find("]", i + 2 if pattern[i + 1 : i + 2] not in ("!", "^") else i + 3)) > 0
        ):
            inner = pattern[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            inner = "^" + inner[1:] if inner[:1] in ("!", "^") else inner
            text, i = f"{text}(?!/)[{inner}]", end + 1
        elif pattern[i] == "\\" and i + 1 < len(pattern):
            text, i = text + re.escape(pattern[i + 1]), i + 2
        else:
            text, i = text + re.escape(pattern[i]), i + 1
    try:
        return re.compile(text, re.DOTALL)
    except re.error:  # a range such as [z-a]: git lets it match nothing
        return re.compile(r"(?!)")
