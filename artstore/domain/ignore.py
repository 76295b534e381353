"""Ignore rules: gitignore patterns as regular expressions. Pure: the caller reads files and walks folders."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from artstore.domain.names import printable

IGNORE_FILE = ".artifactsignore"
GIT_IGNORE_FILE = ".gitignore"
DOWNLOADS = b"# made by artstore: downloads are not for git\n*\n"
"""The `.gitignore` that the folder of downloads gets. A file of this name and content is not the user's."""


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    keep: bool
    """written with a leading `!`"""
    folders_only: bool


class Rules:
    """The patterns of one file or argument, relative to the folder `base` (`""`, or a path that ends in `/`).

    The last pattern that matches decides, as in git.
    """

    def __init__(self, lines: Iterable[str], base: str = "") -> None:
        self.base = base
        self._rules = [rule for line in lines if (rule := _parse(line))]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def match(self, path: str, folder: bool) -> bool | None:
        """True if `path` is ignored, False if a `!` pattern keeps it, None if no pattern matches."""
        if not path.startswith(self.base):
            return None
        path = path[len(self.base) :]
        for rule in reversed(self._rules):
            if (folder or not rule.folders_only) and rule.pattern.fullmatch(path):
                return not rule.keep
        return None


def ignored(stack: Iterable[Rules], path: str, folder: bool) -> bool:
    """Whether a path is ignored. `stack` has the outermost folder's rules first; the last rules that match decide."""
    verdict = None
    for rules in stack:
        said = rules.match(path, folder)
        verdict = verdict if said is None else said
    return bool(verdict)


class PathFilter:
    """Globs for whole entry paths.

    A path passes if no `exclude` matches it or a folder above it, and an `include` does (if there are any).
    """

    def __init__(self, include: Iterable[str] | None, exclude: Iterable[str] | None) -> None:
        self.include, self.exclude = include, exclude = list(include or ()), list(exclude or ())
        self.key = repr((include, exclude))
        """equal for filters with the same globs"""
        self._include = Rules(map(_from_root, include)) if include else None
        self._exclude = Rules(map(_from_root, exclude)) if exclude else None

    def __bool__(self) -> bool:
        return self._include is not None or self._exclude is not None

    def excludes(self, path: str, folder: bool) -> bool:
        return self._exclude is not None and bool(self._exclude.match(path, folder))

    def passes(self, path: str) -> bool:
        """Whether a file passes. Every folder above it is checked too."""
        parts = path.split("/")
        above = [("/".join(parts[:n]), True) for n in range(1, len(parts))] + [(path, False)]
        if any(self.excludes(*step) for step in above):
            return False
        return self._include is None or any(self._include.match(*step) for step in above)

    def told(self, glob: str, before: str = "") -> str:
        """A warning for a glob that matches nothing. `before` is put before the option's name."""
        option = "exclude" if glob in self.exclude else "include"
        return f"{before}{option} '{printable(glob)}' matches nothing"


NO_FILTER = PathFilter(None, None)


class NotingFilter(PathFilter):
    """A filter that notes which of its globs have matched nothing so far."""

    def __init__(self, include: Iterable[str] | None, exclude: Iterable[str] | None) -> None:
        super().__init__(include, exclude)
        self._unmatched = {glob: Rules([_from_root(glob)]) for glob in (*self.include, *self.exclude)}

    @property
    def unmatched(self) -> tuple[str, ...]:
        return tuple(self._unmatched)

    def note(self, path: str, folder: bool) -> None:
        """Note the globs that match a path."""
        matched = [glob for glob, rules in self._unmatched.items() if rules.match(path, folder) is not None]
        for glob in matched:
            del self._unmatched[glob]

    def excludes(self, path: str, folder: bool) -> bool:
        self.note(path, folder)
        return super().excludes(path, folder)


def _from_root(glob: str) -> str:
    """`./x` as gitignore writes it: `/x`, the one directly in the folder."""
    keep = "!" * glob.startswith("!")
    path = glob.removeprefix("!")
    return f"{keep}{path[1:]}" if path.startswith("./") else glob


def _parse(line: str) -> _Rule | None:
    whole = line.rstrip("\r\n")
    line = whole.rstrip(" ")
    if line.endswith("\\") and line != whole:
        line += " "  # an escaped trailing space belongs to the pattern
    if not line or line.startswith("#"):
        return None
    keep = line.startswith("!")
    line = line[1:] if keep else line
    folders_only = line.endswith("/")
    line = line.rstrip("/") if folders_only else line
    if not line:
        return None
    return _Rule(_compile(line.lstrip("/"), "/" in line), keep, folders_only)


_STAR, _DEEP = "*", "**/"
_NOTHING = "(?!)"


@lru_cache(maxsize=1024)
def _compile(pattern: str, anchored: bool) -> re.Pattern[str]:
    """The regular expression of a pattern, which takes time of at most pattern length × path length.

    Of several wildcards of one kind, each but the last is an atomic group that takes as little as it can: if the rest
    matches at all, it also matches after the first place. So there is no backtracking.
    """
    pieces = list(_pieces(pattern)) if anchored else [_DEEP, *_pieces(pattern)]
    first, *others = ["/".join(map(_segment, _parted(group, "/"))) for group in _parted(pieces, _DEEP)]
    middle = "".join(f"(?>(?:[^/]*/)*?{group})" for group in others[:-1])
    return re.compile(first + middle + (f"(?:.*/)?{others[-1]}" if others else ""), re.DOTALL)


def _pieces(pattern: str) -> Iterator[str]:
    """The pieces of a pattern: `*` and `**/` as they are, all else as regular expressions, mostly of one character."""
    i = 0
    while i < len(pattern):
        begins = i == 0 or pattern[i - 1] == "/"
        if begins and pattern.startswith(_DEEP, i):
            piece, i = _DEEP, i + 3
        elif begins and pattern[i:] == "**":
            piece, i = ".+", i + 2
        elif pattern[i] == "*":
            piece, i = _STAR, i + 1
        elif pattern[i] == "?":
            piece, i = "[^/]", i + 1
        elif pattern[i] == "[":
            piece, i = _bracket(pattern, i) or (_NOTHING, len(pattern))
        elif pattern[i] == "\\" and i + 1 < len(pattern):
            piece, i = re.escape(pattern[i + 1]), i + 2
        else:
            piece, i = re.escape(pattern[i]), i + 1
        yield piece


_NAMED = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": r"\t ", "cntrl": r"\x00-\x1f\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": r"!-/:-@\[-`{-~", "space": r"\t-\r ", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
"""The characters of `[:alpha:]` and its like: ASCII only, as in git."""


_MEMBER = re.compile(r"\[:([^\]]{0,40}):\]|(\\?.)(?:-(?!\])(\\?.))?", re.DOTALL)
"""A member of a `[…]`: a named class, a range or a character; each character may have a backslash before it."""


def _bracket(pattern: str, start: int) -> tuple[str, int] | None:
    """The regular expression of the `[…]` at `start`, and where it ends. None if it has no end or an unknown class.

    As in git, a `]` in front is a character, and a range that runs backwards stands for its first character only.
    """
    i = start + 1
    negated = pattern[i : i + 1] in ("!", "^")
    first = i = i + negated
    found: list[str] = []
    while member := _MEMBER.match(pattern, i):
        named, low, high = member.groups()
        if pattern[i] == "]" and i > first:
            return f"(?!/)[{'^' * negated}{''.join(found)}]", i + 1
        i = member.end()
        if named is not None and named not in _NAMED:
            return None
        found.append(_NAMED[named] if named is not None else _range(low[-1], (high or low)[-1]))
    return None


def _range(low: str, high: str) -> str:
    return f"{re.escape(low)}-{re.escape(high)}" if low < high else re.escape(low)


def _segment(pieces: list[str]) -> str:
    """The regular expression of one name in a path, or of the part of a name beside a `**`."""
    first, *others = map("".join, _parted(pieces, _STAR))
    return first + "".join(f"(?>[^/]*?{chunk})" for chunk in others[:-1]) + (f"[^/]*{others[-1]}" if others else "")


def _parted(pieces: list[str], border: str) -> list[list[str]]:
    """Split a list at each `border`, like `str.split`."""
    parts: list[list[str]] = [[]]
    for piece in pieces:
        if piece == border:
            parts.append([])
        else:
            parts[-1].append(piece)
    return parts
